@NullMarked
package brantas.vocabulary;

import org.jspecify.annotations.NullMarked;
