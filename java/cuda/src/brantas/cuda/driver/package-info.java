/// The CUDA driver as the backend sees it: devices, memory, streams, kernels and graphs. The only
/// package that touches JCuda; what JCuda lacks is called through `java.lang.foreign`. Every call
/// is checked in one place ([Calls]); a [brantas.settings.BrantasException] says what a user can
/// act on, its kind [DeviceException] anything else. Java arrays never hold data that the driver
/// copies or launches with; they only receive the small answers of queries.
@NullMarked
package brantas.cuda.driver;

import org.jspecify.annotations.NullMarked;
