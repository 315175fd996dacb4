package brantas.sample;

/// Quickselect on an array of floats, in place.
final class Selection {
    private Selection() {}

    /// The k-th largest of `values[0, n)`, 1-based; reorders the array.
    static float kthLargest(float[] values, int n, int k) {
        int low = 0;
        int high = n - 1;
        int want = k - 1;
        while (low < high) {
            float pivot = median(values[low], values[(low + high) >>> 1], values[high]);
            int i = low;
            int j = high;
            while (i <= j) {
                while (values[i] > pivot) {
                    i++;
                }
                while (values[j] < pivot) {
                    j--;
                }
                if (i <= j) {
                    float t = values[i];
                    values[i++] = values[j];
                    values[j--] = t;
                }
            }
            if (want <= j) {
                high = j;
            } else if (want >= i) {
                low = i;
            } else {
                return values[want];
            }
        }
        return values[want];
    }

    private static float median(float a, float b, float c) {
        return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
    }
}
