@NullMarked
package brantas.engine;

import org.jspecify.annotations.NullMarked;
