// Java's HttpClient, which offers HTTP/2 first: prints the answer to a form that it writes itself.
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

class Transcribe {
    public static void main(String[] arguments) throws Exception {
        Path recording = Path.of(arguments[1]);
        String boundary = "----verbatim";
        var body = new ByteArrayOutputStream();
        body.write(("--" + boundary + "\r\n"
            + "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
            + "whisper-1\r\n"
            + "--" + boundary + "\r\n"
            + "Content-Disposition: form-data; name=\"file\"; filename=\""
            + recording.getFileName() + "\"\r\n"
            + "Content-Type: application/octet-stream\r\n\r\n").getBytes());
        body.write(Files.readAllBytes(recording));
        body.write(("\r\n--" + boundary + "--\r\n").getBytes());
        var request = HttpRequest.newBuilder(URI.create(arguments[0] + "/audio/transcriptions"))
            .header("Authorization", "Bearer any key")
            .header("Content-Type", "multipart/form-data; boundary=" + boundary)
            .expectContinue(true)
            .POST(BodyPublishers.ofByteArray(body.toByteArray()))
            .build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        System.out.print(answer.body());
    }
}
