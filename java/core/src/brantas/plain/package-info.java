@NullMarked
package brantas.plain;

import org.jspecify.annotations.NullMarked;
