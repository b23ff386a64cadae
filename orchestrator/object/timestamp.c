/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "podium/base/clock.h"

/* "2026-01-02T03:04:05"; years beyond 9999 are cut to 9999. */
static size_t format_seconds(uint64_t usec, char out[TIMESTAMP_SIZE]) {
    const time_t last = 253402300799; /* 9999-12-31T23:59:59Z */
    time_t t = (time_t) (usec / USEC_PER_SEC);
    if (t > last)
        t = last;
    struct tm tm;
    gmtime_r(&t, &tm);
    return strftime(out, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
}

void timestamp_format(uint64_t usec, char out[TIMESTAMP_SIZE]) {
    size_t n = format_seconds(usec, out);
    snprintf(out + n, TIMESTAMP_SIZE - n, "Z");
}

void timestamp_format_micro(uint64_t usec, char out[TIMESTAMP_SIZE]) {
    size_t n = format_seconds(usec, out);
    snprintf(out + n, TIMESTAMP_SIZE - n, ".%06uZ", (unsigned) (usec % USEC_PER_SEC));
}

/* Exactly n digits at *s, within [0, max]; moves *s behind them and behind `after` when that is not 0. */
static bool take_number(const char **s, int n, int max, char after, int *ret) {
    int v = 0;
    for (int i = 0; i < n; i++) {
        if ((*s)[i] < '0' || (*s)[i] > '9')
            return false;
        v = v * 10 + ((*s)[i] - '0');
    }
    *s += n;
    if (after != 0 && *(*s)++ != after)
        return false;
    *ret = v;
    return v <= max;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* ".123", behind the seconds; 0 when there is none. */
static bool take_fraction(const char **s, int *ret_usec) {
    *ret_usec = 0;
    if (**s != '.')
        return true;
    (*s)++;
    int digits = 0, usec = 0;
    for (; **s >= '0' && **s <= '9'; (*s)++, digits++)
        if (digits < 6)
            usec = usec * 10 + (**s - '0');
    for (int i = digits; i < 6; i++)
        usec *= 10;
    *ret_usec = usec;
    return digits > 0;
}

/* "Z" or "+02:00", to the end of the text. */
static bool take_offset(const char *s, int *ret_seconds) {
    if (strcmp(s, "Z") == 0) {
        *ret_seconds = 0;
        return true;
    }
    char sign = *s++;
    int hours, minutes;
    if ((sign != '+' && sign != '-') || !take_number(&s, 2, 23, ':', &hours) || !take_number(&s, 2, 59, 0, &minutes) ||
        *s != '\0')
        return false;
    *ret_seconds = (hours * 60 + minutes) * 60 * (sign == '-' ? -1 : 1);
    return true;
}

int timestamp_parse(const char *s, uint64_t *ret_usec) {
    int year, month, day, hour, minute, second, usec, offset;
    if (!take_number(&s, 4, 9999, '-', &year) || !take_number(&s, 2, 12, '-', &month) || month < 1 ||
        !take_number(&s, 2, days_in_month(year, month), 'T', &day) || day < 1 || !take_number(&s, 2, 23, ':', &hour) ||
        !take_number(&s, 2, 59, ':', &minute) || !take_number(&s, 2, 59, 0, &second) || !take_fraction(&s, &usec) ||
        !take_offset(s, &offset))
        return -EINVAL;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    time_t t = timegm(&tm) - offset;
    if (t < 0)
        return -ERANGE;
    *ret_usec = (uint64_t) t * USEC_PER_SEC + (uint64_t) usec;
    return 0;
}

/* "3h20m", or "3h" when the second part is zero. */
static void format_pair(char out[TIMESTAMP_SIZE], long long a, const char *unit_a, long long b, const char *unit_b) {
    if (b == 0)
        snprintf(out, TIMESTAMP_SIZE, "%lld%s", a, unit_a);
    else
        snprintf(out, TIMESTAMP_SIZE, "%lld%s%lld%s", a, unit_a, b, unit_b);
}

void duration_human(int64_t seconds, char out[TIMESTAMP_SIZE]) {
    long long s = seconds, minutes = s / 60, hours = s / 3600, days = hours / 24;
    if (s < -1)
        snprintf(out, TIMESTAMP_SIZE, "<invalid>");
    else if (s < 0)
        snprintf(out, TIMESTAMP_SIZE, "0s");
    else if (s < 120)
        snprintf(out, TIMESTAMP_SIZE, "%llds", s);
    else if (minutes < 10)
        format_pair(out, minutes, "m", s % 60, "s");
    else if (minutes < 180)
        snprintf(out, TIMESTAMP_SIZE, "%lldm", minutes);
    else if (hours < 8)
        format_pair(out, hours, "h", minutes % 60, "m");
    else if (hours < 48)
        snprintf(out, TIMESTAMP_SIZE, "%lldh", hours);
    else if (days < 8)
        format_pair(out, days, "d", hours % 24, "h");
    else if (days < 730)
        snprintf(out, TIMESTAMP_SIZE, "%lldd", days);
    else if (days < 2920)
        format_pair(out, days / 365, "y", days % 365, "d");
    else
        snprintf(out, TIMESTAMP_SIZE, "%lldy", days / 365);
}

static const struct duration_unit {
    const char *text;
    int64_t ns;
} duration_units[] = {
    {"ns", 1},       {"us", 1000},        {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
    {"ms", 1000000}, {"s", 1000000000ll}, {"m", 60000000000ll}, {"h", 3600000000000ll},
};

/* The unit at *s, which ends at the next digit, point or end of text. */
static int64_t take_unit(const char **s) {
    size_t n = strcspn(*s, ".0123456789");
    for (size_t i = 0; i < ARRAY_LEN(duration_units); i++)
        if (strlen(duration_units[i].text) == n && strncmp(*s, duration_units[i].text, n) == 0) {
            *s += n;
            return duration_units[i].ns;
        }
    return 0;
}

int duration_parse_go(const char *s, int64_t *ret_ns) {
    bool negative = *s == '-';
    if (*s == '-' || *s == '+')
        s++;
    if (strcmp(s, "0") == 0) {
        *ret_ns = 0;
        return 0;
    }
    if (*s == '\0')
        return -EINVAL;
    __int128 total = 0;
    while (*s != '\0') {
        const __int128 limit = (__int128) INT64_MAX + 1;
        __int128 value = 0, fraction = 0, scale = 1;
        bool digits = false;
        for (; *s >= '0' && *s <= '9'; s++, digits = true)
            if ((value = value * 10 + (*s - '0')) > limit)
                return -EINVAL;
        if (*s == '.')
            for (s++; *s >= '0' && *s <= '9'; s++, digits = true)
                if (scale < 1000000000000000ll) {
                    fraction = fraction * 10 + (*s - '0');
                    scale *= 10;
                }
        int64_t unit = digits ? take_unit(&s) : 0;
        if (unit == 0)
            return -EINVAL;
        total += value * unit + fraction * unit / scale;
        if (total > limit)
            return -EINVAL;
    }
    if (negative)
        total = -total;
    if (total > INT64_MAX)
        return -EINVAL;
    *ret_ns = (int64_t) total;
    return 0;
}

/* "1.5" for 1500 of 1000 per unit; no trailing zeros. */
static size_t format_fraction(char *out, size_t size, uint64_t v, uint64_t unit) {
    size_t n = (size_t) snprintf(out, size, "%llu", (unsigned long long) (v / unit));
    uint64_t rest = v % unit;
    if (rest == 0)
        return n;
    out[n++] = '.';
    for (uint64_t u = unit / 10; rest > 0; rest %= u, u /= 10)
        out[n++] = (char) ('0' + rest / u);
    out[n] = '\0';
    return n;
}

void duration_format_go(int64_t ns, char out[TIMESTAMP_SIZE]) {
    uint64_t v = ns < 0 ? 0 - (uint64_t) ns : (uint64_t) ns;
    char number[16]; /* "59.999999999" */
    const char *sign = ns < 0 ? "-" : "";
    if (v == 0) {
        snprintf(out, TIMESTAMP_SIZE, "0s");
    } else if (v < 1000000000ull) {
        uint64_t unit = v < 1000 ? 1 : v < 1000000 ? 1000 : 1000000;
        format_fraction(number, sizeof(number), v, unit);
        snprintf(out, TIMESTAMP_SIZE, "%s%s%s", sign, number, unit == 1 ? "ns" : unit == 1000 ? "\xc2\xb5s" : "ms");
    } else {
        uint64_t minutes = v / 60000000000ull;
        format_fraction(number, sizeof(number), v % 60000000000ull, 1000000000ull);
        if (minutes == 0)
            snprintf(out, TIMESTAMP_SIZE, "%s%ss", sign, number);
        else if (minutes < 60)
            snprintf(out, TIMESTAMP_SIZE, "%s%um%ss", sign, (unsigned) minutes, number);
        else
            snprintf(out, TIMESTAMP_SIZE, "%s%uh%um%ss", sign, (unsigned) (minutes / 60), (unsigned) (minutes % 60),
                     number);
    }
}
