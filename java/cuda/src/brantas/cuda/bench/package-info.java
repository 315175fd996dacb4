/// Kernels one by one: how long each takes at the shapes of published models, whether it gives the
/// same bits again, and how close kernels follow each other. Cases are data over the launchers.
@NullMarked
package brantas.cuda.bench;

import org.jspecify.annotations.NullMarked;
