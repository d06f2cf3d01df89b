// fhir-kit-client under a test's command: a JSON line in, a JSON line out.
// node kit_client.mjs MODULE BASE KEY
import { createInterface } from 'node:readline';

const [module, baseUrl, bearerToken] = process.argv.slice(2);
const { Client, CapabilityTool } = await import(module);
const client = new Client({ baseUrl, bearerToken });

async function everyPage(page) {
  const found = [];
  for (; page; page = await client.nextPage({ bundle: page })) {
    found.push(...(page.entry ?? []).map((entry) => entry.resource));
  }
  return found;
}

const can = {
  capability: async () => {
    const tool = new CapabilityTool(await client.capabilityStatement());
    return tool.serverCan('transaction') && tool.resourceCan('Patient', 'read');
  },
  bundle: ({ body }) => (body.type === 'batch' ? client.batch({ body }) : client.transaction({ body })),
  read: ({ resourceType, id }) => client.read({ resourceType, id }),
  vread: ({ resourceType, id, version }) => client.vread({ resourceType, id, version }),
  history: async ({ resourceType, id }) => everyPage(await client.history({ resourceType, id })),
  search: async ({ resourceType, searchParams }) => {
    const asked = { resourceType, searchParams };
    const found = await everyPage(await client.search(asked));
    const posted = await everyPage(await client.search({ ...asked, options: { postSearch: true } }));
    if (JSON.stringify(found) !== JSON.stringify(posted)) throw new Error('GET and POST differ');
    return found;
  },
  update: ({ body, version }) =>
    client.update({
      resourceType: body.resourceType,
      id: body.id,
      body,
      options: { headers: { 'If-Match': `W/"${version}"` } },
    }),
  create: async ({ body, condition }) => {
    const headers = { 'If-None-Exist': condition };
    const made = await client.create({ resourceType: body.resourceType, body, options: { headers } });
    return Client.httpFor(made).response.status;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let told;
  try {
    told = { told: await can[asked.do](asked) };
  } catch (fault) {
    told = { status: fault.response?.status ?? 0, fault: String(fault) };
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
