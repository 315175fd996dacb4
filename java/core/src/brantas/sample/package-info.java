@NullMarked
package brantas.sample;

import org.jspecify.annotations.NullMarked;
