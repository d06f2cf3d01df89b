package oracle;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.hl7.fhir.utilities.validation.ValidationMessage;

/**
 * Requests in, verdicts out, a JSON object a line, in the order asked:
 * {"id", "raw": text of a resource} gives {"id", "verdict": valid | invalid | none, "issues": [...]}.
 * Arguments: --threads=N, then the folders of unpacked packages, the R4 core first.
 */
public final class Main {
    private static final int AHEAD = 64;

    public static void main(String[] args) throws Exception {
        var answers = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        System.setOut(System.err); // the engine chats on standard output
        int threads = 1;
        var folders = new ArrayList<Path>();
        for (String arg : args) {
            if (arg.startsWith("--threads=")) threads = Integer.parseInt(arg.substring("--threads=".length()));
            else folders.add(Path.of(arg));
        }
        var engine = new Engine(folders);
        var requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var pool = Executors.newFixedThreadPool(threads);
        var pending = new ArrayDeque<Future<String>>();
        for (String line; (line = requests.readLine()) != null; ) {
            String request = line;
            pending.add(pool.submit(() -> answer(engine, request)));
            if (pending.size() == AHEAD) write(answers, pending.remove().get());
        }
        while (!pending.isEmpty()) write(answers, pending.remove().get());
        System.exit(0); // the engine leaves threads behind
    }

    private static void write(PrintStream answers, String answer) {
        answers.print(answer);
        answers.print('\n');
        answers.flush();
    }

    private static String answer(Engine engine, String line) {
        JsonObject request = JsonParser.parseString(line).getAsJsonObject();
        var issues = new JsonArray();
        String verdict = "valid";
        try {
            for (ValidationMessage message : engine.judge(request.get("raw").getAsString().getBytes(StandardCharsets.UTF_8))) {
                if (message.getLevel().isError()) verdict = "invalid";
                issues.add(issue(message));
            }
        } catch (Exception | StackOverflowError failure) { // the engine stumbled, which says nothing of the resource
            verdict = "none";
            var told = new JsonObject();
            told.addProperty("severity", "fatal");
            told.addProperty("message", "engine failure: " + failure);
            issues.add(told);
        }
        var answer = new JsonObject();
        answer.add("id", request.get("id"));
        answer.addProperty("verdict", verdict);
        answer.add("issues", issues);
        return answer.toString();
    }

    private static JsonObject issue(ValidationMessage message) {
        var told = new JsonObject();
        told.addProperty("severity", message.getLevel().toCode());
        if (message.getLocation() != null) told.addProperty("expression", message.getLocation());
        told.addProperty("message", message.getMessage());
        if (message.getMessageId() != null) told.addProperty("messageId", message.getMessageId());
        return told;
    }
}
