package brantas.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/// A safetensors file read by the plainest means, so that the test does not lean on what it tests.
final class Tensors {
    private final byte[] bytes;
    private final Map<String, @Nullable Object> header;
    private final int data;

    Tensors(Path file) throws IOException {
        bytes = Files.readAllBytes(file);
        int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
        data = 8 + length;
        String json = new String(bytes, 8, length, StandardCharsets.UTF_8);
        header = Door.object(json);
        header.remove("__metadata__");
    }

    Set<String> names() {
        return header.keySet();
    }

    List<Object> shape(String name) {
        return Json.list("shape", entry(name).get("shape"));
    }

    float[] floats(String name) {
        ByteBuffer part = part(name);
        float[] values = new float[part.remaining() / 4];
        part.asFloatBuffer().get(values);
        return values;
    }

    private ByteBuffer part(String name) {
        List<Object> offsets = Json.list("offsets", entry(name).get("data_offsets"));
        int from = Json.small("begin", offsets.get(0));
        int to = Json.small("end", offsets.get(1));
        return ByteBuffer.wrap(bytes, data + from, to - from)
                .slice()
                .order(ByteOrder.LITTLE_ENDIAN);
    }

    private Map<String, @Nullable Object> entry(String name) {
        return Json.object(name, header.get(name));
    }
}
