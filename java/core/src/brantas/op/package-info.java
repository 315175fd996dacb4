@NullMarked
package brantas.op;

import org.jspecify.annotations.NullMarked;
