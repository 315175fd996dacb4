package brantas.jinja;

import brantas.jinja.Node.Binary;
import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Python's arithmetic: integers without overflow (up to 65,536 bits), floor division and modulo
/// with the divisor's sign, and what `+`, `*` and `%` do to strings and lists. A boolean counts as
/// an integer. Comparisons are elsewhere.
final class Arithmetic {
    private static final int MAX_BITS = 1 << 16;
    private static final long EXACT = 1L << 53;

    private Arithmetic() {}

    static @Nullable Object apply(
            Budget budget, Binary op, @Nullable Object left, @Nullable Object right) {
        if (left instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        if (op == Binary.MODULO && Value.textOrNull(left) != null) {
            return Formats.percent(budget, String.valueOf(Value.textOrNull(left)), right);
        }
        if (right instanceof Value.Undefined missing) {
            throw missing.fault();
        }
        Object a = number(left);
        Object b = number(right);
        if (a instanceof Double || b instanceof Double) {
            if (a != null && b != null) {
                return floats(op, toDouble(a), toDouble(b));
            }
        } else if (a instanceof Long x && b instanceof Long y) {
            return longs(op, x, y);
        } else if (a != null && b != null) {
            return bigs(op, big(a), big(b));
        }
        Object joined = sequences(budget, op, left, right);
        if (joined != null) {
            return joined;
        }
        throw unsupported(op.sign(), left, right);
    }

    static Object negate(@Nullable Object value) {
        return switch (number(value)) {
            case Long n when n != Long.MIN_VALUE -> -n;
            case Double d -> -d;
            case Number n -> integer(big(n).negate());
            case null -> throw unary("-", value);
            default -> throw unary("-", value);
        };
    }

    static Object plus(@Nullable Object value) {
        Object number = number(value);
        if (number == null) {
            throw unary("+", value);
        }
        return number;
    }

    private static Fault unary(String sign, @Nullable Object value) {
        return value instanceof Value.Undefined missing
                ? missing.fault()
                : new Fault("the sign '" + sign + "' cannot stand before " + Value.type(value));
    }

    private static Fault unsupported(String sign, @Nullable Object left, @Nullable Object right) {
        return new Fault(
                "the operator '"
                        + sign
                        + "' does not work on "
                        + Value.type(left)
                        + " and "
                        + Value.type(right));
    }

    /// The value as `Long`, `BigInteger` or `Double`, or null if it is no number.
    static @Nullable Object number(@Nullable Object value) {
        return switch (value) {
            case Boolean flag -> flag ? 1L : 0L;
            case Long n -> n;
            case Double d -> d;
            case BigInteger n -> n;
            case null, default -> null;
        };
    }

    /// A `Long` where it fits.
    static Object integer(BigInteger value) {
        if (value.bitLength() < Long.SIZE) {
            return value.longValue();
        }
        if (value.bitLength() > MAX_BITS) {
            throw new Fault("an integer has more than " + MAX_BITS + " bits");
        }
        return value;
    }

    static BigInteger big(Object number) {
        return number instanceof BigInteger n
                ? n
                : BigInteger.valueOf(((Number) number).longValue());
    }

    static double toDouble(Object number) {
        if (number instanceof BigInteger n) {
            double value = n.doubleValue();
            if (Double.isInfinite(value)) {
                throw new Fault("an integer is too large for a float");
            }
            return value;
        }
        return ((Number) number).doubleValue();
    }

    /// A float cut towards zero.
    static Object truncate(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            throw new Fault("a float that is not finite has no integer value");
        }
        return Math.abs(value) < EXACT
                ? (Object) (long) value
                : integer(new BigDecimal(value).toBigInteger());
    }

    /// An integer value as `int`, the nearest one if it does not fit.
    static int clip(@Nullable Object value) {
        return switch (number(value)) {
            case Long n -> Math.clamp(n, Integer.MIN_VALUE, Integer.MAX_VALUE);
            case BigInteger n -> n.signum() < 0 ? Integer.MIN_VALUE : Integer.MAX_VALUE;
            case null, default -> {
                if (value instanceof Value.Undefined missing) {
                    throw missing.fault();
                }
                throw new Fault("an integer is needed, not " + Value.type(value));
            }
        };
    }

    private static Object longs(Binary op, long a, long b) {
        switch (op) {
            case ADD -> {
                long sum = a + b;
                return ((a ^ sum) & (b ^ sum)) < 0 ? bigs(op, big(a), big(b)) : (Object) sum;
            }
            case SUBTRACT -> {
                long difference = a - b;
                return ((a ^ b) & (a ^ difference)) < 0
                        ? bigs(op, big(a), big(b))
                        : (Object) difference;
            }
            case FLOOR_DIVIDE -> {
                if (b != 0 && b != -1) {
                    return Math.floorDiv(a, b);
                }
            }
            case MODULO -> {
                if (b != 0) {
                    return Math.floorMod(a, b);
                }
            }
            case DIVIDE -> {
                if (b != 0 && Math.abs(a) <= EXACT && Math.abs(b) <= EXACT) {
                    return (double) a / b;
                }
            }
            case MULTIPLY, POWER -> {}
        }
        return bigs(op, big(a), big(b));
    }

    private static Object bigs(Binary op, BigInteger a, BigInteger b) {
        boolean divides = op == Binary.DIVIDE || op == Binary.FLOOR_DIVIDE || op == Binary.MODULO;
        if (divides && b.signum() == 0) {
            throw new Fault("division by zero");
        }
        return switch (op) {
            case ADD -> integer(a.add(b));
            case SUBTRACT -> integer(a.subtract(b));
            case MULTIPLY -> integer(a.multiply(b));
            case DIVIDE -> {
                double quotient =
                        new BigDecimal(a)
                                .divide(new BigDecimal(b), new MathContext(60))
                                .doubleValue();
                if (Double.isInfinite(quotient)) {
                    throw new Fault("the result of a division is too large for a float");
                }
                yield quotient;
            }
            case FLOOR_DIVIDE -> {
                BigInteger[] parts = a.divideAndRemainder(b);
                boolean down = parts[1].signum() != 0 && parts[1].signum() != b.signum();
                yield integer(down ? parts[0].subtract(BigInteger.ONE) : parts[0]);
            }
            case MODULO -> {
                BigInteger rest = a.remainder(b);
                boolean wrap = rest.signum() != 0 && rest.signum() != b.signum();
                yield integer(wrap ? rest.add(b) : rest);
            }
            case POWER -> power(a, b);
        };
    }

    private static Object power(BigInteger base, BigInteger exponent) {
        if (exponent.signum() < 0) {
            return floats(Binary.POWER, toDouble(integer(base)), toDouble(integer(exponent)));
        }
        boolean small = base.abs().compareTo(BigInteger.ONE) <= 0;
        if (small) {
            boolean negative = base.signum() < 0 && exponent.testBit(0);
            return exponent.signum() == 0 ? 1L : negative ? -1L : (long) Math.abs(base.signum());
        }
        if (exponent.bitLength() > 20
                || (long) (base.bitLength() - 1) * exponent.intValue() > MAX_BITS) {
            throw new Fault("an integer power has more than " + MAX_BITS + " bits");
        }
        return integer(base.pow(exponent.intValue()));
    }

    private static double floats(Binary op, double a, double b) {
        boolean divides = op == Binary.DIVIDE || op == Binary.FLOOR_DIVIDE || op == Binary.MODULO;
        if (divides && b == 0) {
            throw new Fault("division by zero");
        }
        return switch (op) {
            case ADD -> a + b;
            case SUBTRACT -> a - b;
            case MULTIPLY -> a * b;
            case DIVIDE -> a / b;
            case FLOOR_DIVIDE -> floorDivide(a, b);
            case MODULO -> modulo(a, b);
            case POWER -> floatPower(a, b);
        };
    }

    private static double modulo(double a, double b) {
        double rest = a % b;
        if (rest == 0) {
            return Math.copySign(0.0, b);
        }
        return rest < 0 == b < 0 ? rest : rest + b;
    }

    private static double floorDivide(double a, double b) {
        double rest = a % b;
        double quotient = (a - rest) / b;
        if (rest != 0 && rest < 0 != b < 0) {
            quotient -= 1;
        }
        if (quotient == 0) {
            return Math.copySign(0.0, a / b);
        }
        double floor = Math.floor(quotient);
        return quotient - floor > 0.5 ? floor + 1 : floor;
    }

    private static double floatPower(double a, double b) {
        if (a == 1 || b == 0) {
            return 1;
        }
        if (a == 0 && b < 0) {
            throw new Fault("zero cannot be raised to a negative power");
        }
        if (a == -1 && Double.isInfinite(b)) {
            return 1;
        }
        double power = Math.pow(a, b);
        boolean finite = Double.isFinite(a) && Double.isFinite(b);
        if (finite && !Double.isFinite(power)) {
            throw new Fault("the result of '**' is no finite float");
        }
        return power;
    }

    private static @Nullable Object sequences(
            Budget budget, Binary op, @Nullable Object left, @Nullable Object right) {
        if (op == Binary.ADD) {
            return add(budget, left, right);
        }
        if (op != Binary.MULTIPLY) {
            return null;
        }
        Object a = number(left);
        Object b = number(right);
        if (b != null && !(b instanceof Double)) {
            return repeat(budget, left, Math.max(0, clip(b)));
        }
        return a != null && !(a instanceof Double)
                ? repeat(budget, right, Math.max(0, clip(a)))
                : null;
    }

    private static @Nullable Object add(
            Budget budget, @Nullable Object left, @Nullable Object right) {
        if (left instanceof String a && right instanceof String b) {
            budget.characters((long) a.length() + b.length());
            return a.concat(b);
        }
        String a = Value.textOrNull(left);
        String b = Value.textOrNull(right);
        if (a != null && b != null) {
            String escapedLeft = left instanceof Value.Safe ? a : Filters.escape(budget, a);
            String escapedRight = right instanceof Value.Safe ? b : Filters.escape(budget, b);
            budget.characters((long) escapedLeft.length() + escapedRight.length());
            return new Value.Safe(escapedLeft + escapedRight);
        }
        if (left instanceof List<?> x && right instanceof List<?> y) {
            return joined(budget, x, y);
        }
        if (left instanceof Value.Tuple x && right instanceof Value.Tuple y) {
            return new Value.Tuple(joined(budget, x.items(), y.items()));
        }
        return null;
    }

    private static List<@Nullable Object> joined(Budget budget, List<?> left, List<?> right) {
        budget.steps((long) left.size() + right.size());
        List<@Nullable Object> all = new ArrayList<>(left.size() + right.size());
        all.addAll(left);
        all.addAll(right);
        return all;
    }

    private static @Nullable Object repeat(Budget budget, @Nullable Object value, int times) {
        String text = Value.textOrNull(value);
        if (text != null) {
            budget.characters((long) text.length() * times);
            String all = text.repeat(times);
            return value instanceof Value.Safe ? new Value.Safe(all) : all;
        }
        List<?> items =
                value instanceof Value.Tuple tuple
                        ? tuple.items()
                        : value instanceof List<?> list ? list : null;
        if (items == null) {
            return null;
        }
        budget.steps((long) items.size() * times);
        List<@Nullable Object> all = new ArrayList<>(items.size() * times);
        for (int i = 0; i < times && !items.isEmpty(); i++) {
            all.addAll(items);
        }
        return value instanceof Value.Tuple ? new Value.Tuple(all) : all;
    }
}
