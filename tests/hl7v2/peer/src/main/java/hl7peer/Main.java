package hl7peer;

import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.app.Connection;
import ca.uhn.hl7v2.llp.MinLowerLayerProtocol;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.CanonicalModelClassFactory;
import ca.uhn.hl7v2.util.Terser;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** Sends each file over MLLP on one connection; prints a line each: MSH-10, MSA-1, MSA-2. */
public final class Main {
  public static void main(String[] words) throws Exception {
    try (DefaultHapiContext context = new DefaultHapiContext()) {
      context.setModelClassFactory(new CanonicalModelClassFactory("2.5"));
      context.setValidationContext(
          (ca.uhn.hl7v2.validation.ValidationContext)
              ca.uhn.hl7v2.validation.impl.ValidationContextFactory.noValidation());
      context.getParserConfiguration().setDefaultObx2Type("ST");
      context.setLowerLayerProtocol(new MinLowerLayerProtocol(true));
      Connection connection = context.newClient("127.0.0.1", Integer.parseInt(words[0]), false);
      connection.getInitiator().setTimeout(30, TimeUnit.SECONDS);
      for (int n = 1; n < words.length; n++) {
        String text = Files.readString(Path.of(words[n]), StandardCharsets.UTF_8);
        Message message = context.getPipeParser().parse(text);
        Message answer = connection.getInitiator().sendAndReceive(message);
        Terser told = new Terser(answer);
        String id = new Terser(message).get("/MSH-10");
        System.out.println(id + " " + told.get("/MSA-1") + " " + told.get("/MSA-2"));
      }
      connection.close();
    }
  }
}
