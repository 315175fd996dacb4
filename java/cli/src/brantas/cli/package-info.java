@NullMarked
package brantas.cli;

import org.jspecify.annotations.NullMarked;
