/// What the command line does with GPUs beside running models: traces, benchmarks of single
/// kernels, and the results of an acceptance run.
@NullMarked
package brantas.cli.gpu;

import org.jspecify.annotations.NullMarked;
