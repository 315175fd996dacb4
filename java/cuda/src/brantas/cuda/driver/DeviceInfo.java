package brantas.cuda.driver;

/// A CUDA device as the driver describes it.
///
/// @param index among the devices that the driver shows
/// @param uuid `GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`
/// @param major of the compute capability
/// @param minor of the compute capability
/// @param totalMemory bytes
/// @param freeMemory bytes at the time of asking; 0 for a device that gives this process no context
/// @param multiprocessors streaming multiprocessors
/// @param sharedMemory bytes of shared memory that a block may ask for
/// @param driverVersion CUDA version that the driver supports, 12060 for 12.6
public record DeviceInfo(
        int index,
        String name,
        String uuid,
        int major,
        int minor,
        long totalMemory,
        long freeMemory,
        int multiprocessors,
        int sharedMemory,
        int driverVersion) {
    private static final String EMULATED = "Emulated CUDA device";

    /// Whether kernels run on the CPU behind a stand-in driver.
    public boolean emulated() {
        return name.equals(EMULATED);
    }

    /// The compute capability as it is written, `9.0`.
    public String capability() {
        return major + "." + minor;
    }

    /// CUDA version that the driver supports, `12.6`.
    public String driver() {
        return DriverLibrary.versionText(driverVersion);
    }

    /// How messages call the device.
    public String title() {
        return name + " (device " + index + ")";
    }
}
