@NullMarked
package brantas.jinja;

import org.jspecify.annotations.NullMarked;
