package brantas.cli.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import brantas.cli.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.w3c.dom.Document;

/// Results from what the steps of an acceptance run left, with made-up numbers.
class ResultsTest {
    private static final String KERNELS =
            """
            {"model": "35B-A3B", "device": "NVIDIA H100 80GB HBM3", "emulated": false,
             "meaningful": true, "datasheet_gb_per_second": 3350, "datasheet_tflops": 989.4,
             "cases": [
              {"phase": "decode", "kernel": "gemv_norm_bf16", "purpose": "delta in",
               "microseconds": 20.0, "bytes": 5e7, "flops": 5e7},
              {"phase": "decode", "kernel": "embed", "purpose": "embedding",
               "microseconds": 2.0, "bytes": 8e3, "flops": 0},
              {"phase": "table", "kernel": "gemm_bf16", "purpose": "dense <product>",
               "microseconds": 250.0, "bytes": 1e8, "flops": 1.37e11}]}
            """;
    private static final String PREDICT =
            """
            {"kernels": [{"phase": "decode", "name": "gemv_norm_bf16", "purpose": "delta in",
              "calls": 30, "microseconds": 480.0}]}
            """;
    private static final String VARIANTS =
            """
            {"device": "NVIDIA H100 80GB HBM3", "emulated": false, "findings": [
             {"name": "gemm 128 rows", "text": "variant 64", "numbers": {"64/0": 1.5}},
             {"name": "line", "text": "gemm 9.0 1- 64 0", "numbers": {}}]}
            """;

    @TempDir Path folder;

    private void leave(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    @Test
    void everythingIsPutTogether() throws Exception {
        leave("steps.tsv", "doctor\tpassed\t2\tall here\nload\tfailed\t1\ttwo kernels missing\n");
        leave("machine.tsv", "git\tabc\nclocks.max.sm\t1980 MHz\n");
        leave("kernels.json", KERNELS);
        leave("predict.json", PREDICT);
        leave("variants.json", VARIANTS);
        leave("load.json", "{\"findings\": [{\"name\": \"gemm\", \"passed\": false}]}");
        Path to = folder.resolve("out");
        List<Path> written = new Results(folder).write(to);
        assertThat(written)
                .containsExactly(
                        to.resolve("RESULTS-h100-80gb-hbm3.json"),
                        to.resolve("RESULTS-h100-80gb-hbm3.svg"),
                        to.resolve("launch-table-h100-80gb-hbm3.txt"));
        Map<String, @Nullable Object> all = object(written.getFirst());
        assertThat(all)
                .containsEntry("passed", false)
                .containsEntry("meaningful", true)
                .containsEntry("device", "NVIDIA H100 80GB HBM3")
                .containsEntry("machine", Map.of("git", "abc", "clocks.max.sm", "1980 MHz"));
        List<Map<String, @Nullable Object>> steps = Json.objects("steps", all.get("steps"));
        assertThat(steps).extracting(s -> s.get("status")).containsExactly("passed", "failed");
        assertThat(steps.getLast()).containsKey("findings");
        List<Map<String, @Nullable Object>> kernels = Json.objects("kernels", all.get("kernels"));
        assertThat(kernels.getFirst())
                .containsEntry("predicted_microseconds", 16.0)
                .containsEntry("of_predicted", 1.25);
        assertThat(kernels.get(1)).containsEntry("predicted_microseconds", null);
        assertThat(Files.readString(written.getLast())).endsWith("\ngemm 9.0 1- 64 0\n");
    }

    @Test
    void thePictureHasAPointForEachKernelThatComputesAndARoof() throws Exception {
        leave("kernels.json", KERNELS);
        Document svg = picture();
        assertThat(svg.getElementsByTagName("circle").getLength()).isEqualTo(2);
        assertThat(svg.getDocumentElement().getTextContent())
                .contains("gemm_bf16, dense <product>: 548 TFLOP/s");
        int thick = 0;
        for (int i = 0; i < svg.getElementsByTagName("line").getLength(); i++) {
            var line = svg.getElementsByTagName("line").item(i).getAttributes();
            thick += line.getNamedItem("stroke-width").getNodeValue().equals("2") ? 1 : 0;
            for (String end : List.of("x1", "y1", "x2", "y2")) {
                double at = Double.parseDouble(line.getNamedItem(end).getNodeValue());
                assertThat(at).isBetween(0.0, 1_100.0);
            }
        }
        assertThat(thick).isEqualTo(2);
    }

    /// A run whose first steps failed leaves no kernels, and still says so.
    @Test
    void aRunWithoutKernelsHasResultsToo() throws Exception {
        leave("steps.tsv", "build\tfailed\t2\tthere is no nvcc\n");
        leave("predict.json", "");
        Document svg = picture();
        assertThat(svg.getElementsByTagName("circle").getLength()).isZero();
        Map<String, @Nullable Object> all = object(folder.resolve("RESULTS-none.json"));
        assertThat(all).containsEntry("passed", false).containsEntry("kernels", List.of());
        assertThat(String.valueOf(all.get("unreadable"))).contains("predict.json");
    }

    private Document picture() throws Exception {
        Path svg = new Results(folder).write(folder).get(1);
        return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(svg.toFile());
    }

    private static Map<String, @Nullable Object> object(Path file) {
        String name = file.toString();
        return Json.object(name, Json.read(name, Json.file(file)));
    }

    @ParameterizedTest
    @CsvSource({
        "Emulated CUDA device, emulated",
        "NVIDIA GeForce RTX 5090, rtx-5090",
        "NVIDIA H200, h200",
        "NVIDIA RTX PRO 6000 Blackwell Server Edition, rtx-pro-6000-blackwell-server-edition"
    })
    void filesAreNamedAfterTheGpu(String device, String name) {
        assertThat(Results.gpuName(device)).isEqualTo(name);
    }
}
