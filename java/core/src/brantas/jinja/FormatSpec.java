package brantas.jinja;

import brantas.jinja.Template.Budget;
import brantas.jinja.Template.Fault;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import org.jspecify.annotations.Nullable;

/// How one field of a format string is written, after the mini-language of Python's `format`:
/// padding, sign, thousands, and the forms of integers and floats. Both kinds of format string in
/// [Formats] end here. Widths and precisions are limited; locale forms (`n`) fail.
///
/// @param align one of `<>^=`, or 0 for the type's own
/// @param sign one of `+- `, or 0
/// @param group `,` or `_` between thousands, or 0
/// @param precision -1 if absent
/// @param type 0 if absent
record FormatSpec(
        String fill,
        char align,
        char sign,
        boolean alternate,
        int width,
        char group,
        int precision,
        char type) {
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_PRECISION = 1_100;
    private static final int MAX_DIGITS = 4300;
    private static final int MAX_INTEGER_BITS = 14_288;

    /// A width or precision in a format string.
    static int small(String digits) {
        if (digits.length() > 7 || Integer.parseInt(digits) > MAX_WIDTH) {
            throw new Fault("a width or precision in a format string is too large");
        }
        return Integer.parseInt(digits);
    }

    static String cut(String text, int precision) {
        return precision < 0 || text.codePointCount(0, text.length()) <= precision
                ? text
                : text.substring(0, text.offsetByCodePoints(0, precision));
    }

    /// `format(value, spec)`.
    static String apply(Budget budget, @Nullable Object value, String spec) {
        if (value instanceof Value.Undefined && !spec.isEmpty()) {
            throw new Fault("an undefined value takes no format specification");
        }
        if (spec.isEmpty()) {
            return Spelling.text(budget, value);
        }
        boolean number = Arithmetic.number(value) != null;
        FormatSpec parsed = parse(spec, number);
        String text = Value.textOrNull(value);
        if (text != null) {
            if ((parsed.type() != 0 && parsed.type() != 's') || parsed.align() == '=') {
                throw new Fault("the format '" + spec + "' does not fit a string");
            }
            return pad(budget, cut(text, parsed.precision()), parsed, 0);
        }
        Object numeric = Arithmetic.number(value);
        if (numeric == null) {
            throw new Fault(
                    "a value of type " + Value.type(value) + " takes no format '" + spec + "'");
        }
        return number(budget, numeric, parsed);
    }

    private static FormatSpec parse(String spec, boolean number) {
        int at = 0;
        String fill = " ";
        char align = 0;
        int first = Character.charCount(spec.codePointAt(0));
        if (spec.length() > first && "<>^=".indexOf(spec.charAt(first)) >= 0) {
            fill = spec.substring(0, first);
            align = spec.charAt(first);
            at = first + 1;
        } else if ("<>^=".indexOf(spec.charAt(0)) >= 0) {
            align = spec.charAt(0);
            at = 1;
        }
        char sign = 0;
        if (at < spec.length() && "+- ".indexOf(spec.charAt(at)) >= 0) {
            sign = spec.charAt(at++);
        }
        boolean alternate = at < spec.length() && spec.charAt(at) == '#';
        at += alternate ? 1 : 0;
        if (at < spec.length() && spec.charAt(at) == '0' && align == 0) {
            fill = "0";
            align = number ? '=' : '<';
        }
        int from = at;
        at = Spelling.digits(spec, at, false);
        int width = from == at ? 0 : small(spec.substring(from, at).replace("_", ""));
        char group = 0;
        if (at < spec.length() && ",_".indexOf(spec.charAt(at)) >= 0) {
            group = spec.charAt(at++);
        }
        int precision = -1;
        if (at < spec.length() && spec.charAt(at) == '.') {
            int digits = Spelling.digits(spec, at + 1, false);
            precision = digits == at + 1 ? MAX_WIDTH + 1 : small(spec.substring(at + 1, digits));
            at = digits;
        }
        char type = at == spec.length() - 1 ? spec.charAt(at++) : 0;
        if (at < spec.length() || precision > MAX_WIDTH) {
            throw new Fault("the format specification '" + spec + "' is malformed");
        }
        return new FormatSpec(fill, align, sign, alternate, width, group, precision, type);
    }

    /// Pads `text`, whose first `prefix` characters (sign, `0x`) stay in front of zeros.
    static String pad(Budget budget, String text, FormatSpec spec, int prefix) {
        int missing = spec.width() - text.codePointCount(0, text.length());
        budget.characters(text.length() + Math.max(0L, missing));
        if (missing <= 0) {
            return text;
        }
        int left =
                switch (spec.align()) {
                    case '>', '=' -> missing;
                    case '^' -> missing / 2;
                    default -> 0;
                };
        if (spec.align() == '=') {
            return text.substring(0, prefix) + spec.fill().repeat(missing) + text.substring(prefix);
        }
        return spec.fill().repeat(left) + text + spec.fill().repeat(missing - left);
    }

    static String number(Budget budget, Object number, FormatSpec spec) {
        if (spec.precision() > MAX_PRECISION) {
            throw new Fault("a precision in a format string is too large");
        }
        boolean whole =
                !(number instanceof Double)
                        && (spec.type() == 0 || "dxXobc".indexOf(spec.type()) >= 0);
        if (whole && spec.type() == 'c') {
            return pad(budget, Formats.character(number), aligned(spec, '<'), 0);
        }
        String digits =
                whole
                        ? magnitude(budget, Arithmetic.big(number).abs(), spec)
                        : real(Math.abs(Arithmetic.toDouble(number)), spec);
        boolean negative =
                whole
                        ? Arithmetic.big(number).signum() < 0
                        : Math.copySign(1.0, Arithmetic.toDouble(number)) < 0
                                && !digits.equals("nan");
        String sign =
                negative ? "-" : spec.sign() == '+' || spec.sign() == ' ' ? "" + spec.sign() : "";
        String base = whole && spec.alternate() ? base(spec.type()) : "";
        if (spec.group() != 0) {
            digits = grouped(digits, spec.group(), "xXob".indexOf(spec.type()) >= 0 ? 4 : 3);
        }
        String prefix = sign + base;
        return pad(budget, prefix + digits, aligned(spec, '>'), prefix.length());
    }

    private static FormatSpec aligned(FormatSpec spec, char own) {
        return spec.align() != 0
                ? spec
                : new FormatSpec(
                        spec.fill(), own, (char) 0, false, spec.width(), (char) 0, -1, (char) 0);
    }

    private static String base(char type) {
        return switch (type) {
            case 'x' -> "0x";
            case 'X' -> "0X";
            case 'o' -> "0o";
            case 'b' -> "0b";
            default -> "";
        };
    }

    private static String magnitude(Budget budget, BigInteger value, FormatSpec spec) {
        int radix =
                switch (spec.type()) {
                    case 'x', 'X' -> 16;
                    case 'o' -> 8;
                    case 'b' -> 2;
                    default -> 10;
                };
        String digits = radix == 10 ? integer(budget, value) : value.toString(radix);
        int zeros = Math.max(0, spec.precision() - digits.length());
        String all = "0".repeat(zeros) + digits;
        return spec.type() == 'X' ? Spelling.upper(all) : all;
    }

    private static String real(double value, FormatSpec spec) {
        char lower = Character.toLowerCase(spec.type());
        boolean capital = lower != spec.type();
        String text;
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            text = (Double.isNaN(value) ? "nan" : "inf") + (lower == '%' ? "%" : "");
        } else {
            int precision = spec.precision() < 0 ? 6 : spec.precision();
            text =
                    switch (lower) {
                        case 'f' -> fixed(value, precision);
                        case '%' -> fixed(value * 100, precision) + "%";
                        case 'e' -> scientific(value, precision);
                        case 'g' -> general(value, Math.max(1, precision), spec.alternate());
                        case 0 ->
                                spec.precision() < 0
                                        ? number(value)
                                        : shortGeneral(value, Math.max(1, precision));
                        default ->
                                throw new Fault(
                                        "the format type '"
                                                + spec.type()
                                                + "' does not fit a float");
                    };
        }
        return capital ? Spelling.upper(text) : text;
    }

    private static String fixed(double value, int precision) {
        return new BigDecimal(value).setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
    }

    private static String scientific(double value, int precision) {
        BigDecimal exact = new BigDecimal(value);
        BigDecimal rounded =
                exact.signum() == 0
                        ? exact.setScale(precision)
                        : exact.round(new MathContext(precision + 1, RoundingMode.HALF_EVEN));
        String digits = rounded.unscaledValue().toString();
        int exponent = exact.signum() == 0 ? 0 : digits.length() - 1 - rounded.scale();
        String all = digits + "0".repeat(Math.max(0, precision + 1 - digits.length()));
        String mantissa =
                precision == 0
                        ? all.substring(0, 1)
                        : all.charAt(0) + "." + all.substring(1, precision + 1);
        String width = Math.abs(exponent) < 10 ? "0" : "";
        return mantissa + "e" + (exponent < 0 ? '-' : '+') + width + Math.abs(exponent);
    }

    private static String general(double value, int precision, boolean keepZeros) {
        String form = scientific(value, precision - 1);
        int mark = form.indexOf('e');
        int exponent = Integer.parseInt(form, mark + 1, form.length(), 10);
        if (exponent >= -4 && exponent < precision) {
            String text = fixed(value, precision - 1 - exponent);
            return keepZeros ? text : trimZeros(text);
        }
        return (keepZeros ? form.substring(0, mark) : trimZeros(form.substring(0, mark)))
                + form.substring(mark);
    }

    /// A float with a precision and no type: as `g`, but with a digit behind the point.
    private static String shortGeneral(double value, int precision) {
        String form = scientific(value, precision - 1);
        int mark = form.indexOf('e');
        int exponent = Integer.parseInt(form, mark + 1, form.length(), 10);
        if (exponent >= -4 && exponent < precision - 1) {
            String text = trimZeros(fixed(value, precision - 1 - exponent));
            return text.indexOf('.') < 0 ? text + ".0" : text;
        }
        return trimZeros(form.substring(0, mark)) + form.substring(mark);
    }

    private static String trimZeros(String text) {
        if (text.indexOf('.') < 0) {
            return text;
        }
        int end = text.length();
        while (text.charAt(end - 1) == '0') {
            end--;
        }
        return text.substring(0, text.charAt(end - 1) == '.' ? end - 1 : end);
    }

    private static String grouped(String digits, char separator, int size) {
        int end = 0;
        while (end < digits.length() && Character.digit(digits.charAt(end), 16) >= 0) {
            end++;
        }
        StringBuilder out = new StringBuilder(digits);
        for (int at = end - size; at > 0; at -= size) {
            out.insert(at, separator);
        }
        return out.toString();
    }

    // ---- plain numbers ----

    /// Decimal digits of an integer; Python refuses more than 4,300.
    static String integer(Budget budget, Object number) {
        if (number instanceof BigInteger big) {
            budget.steps(1000);
            if (big.bitLength() > MAX_INTEGER_BITS) {
                throw new Fault("an integer has more than " + MAX_DIGITS + " digits");
            }
        }
        return number.toString();
    }

    /// `repr` of a float: the shortest digits that read back as the same value.
    static String number(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        if (Double.isInfinite(value)) {
            return value > 0 ? "inf" : "-inf";
        }
        if (value == 0) {
            return 1 / value < 0 ? "-0.0" : "0.0";
        }
        BigDecimal decimal = shortest(value);
        String digits = decimal.unscaledValue().toString();
        int point = digits.length() - decimal.scale();
        String sign = value < 0 ? "-" : "";
        if (point > 16 || point < -3) {
            String rest = digits.length() > 1 ? "." + digits.substring(1) : "";
            int exponent = point - 1;
            String width = Math.abs(exponent) < 10 ? "0" : "";
            char direction = exponent < 0 ? '-' : '+';
            return sign + digits.charAt(0) + rest + "e" + direction + width + Math.abs(exponent);
        }
        if (point <= 0) {
            return sign + "0." + "0".repeat(-point) + digits;
        }
        return digits.length() <= point
                ? sign + digits + "0".repeat(point - digits.length()) + ".0"
                : sign + digits.substring(0, point) + "." + digits.substring(point);
    }

    /// The magnitude with the fewest digits. Java keeps two digits where one would do (4.9E-324).
    private static BigDecimal shortest(double value) {
        double magnitude = Math.abs(value);
        BigDecimal decimal = new BigDecimal(Double.toString(magnitude)).stripTrailingZeros();
        if (decimal.precision() == 2) {
            BigDecimal one =
                    decimal.setScale(decimal.scale() - 1, RoundingMode.HALF_EVEN)
                            .stripTrailingZeros();
            if (one.doubleValue() == magnitude) {
                return one;
            }
        }
        return decimal;
    }
}
