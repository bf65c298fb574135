//! `strftime_now`: the date as a template wants it.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{Error, ErrorKind};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// The system's clock, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// Formats `unix_secs`, or now, in UTC, with the directives of C's `strftime` in its "C" locale.
pub(super) fn strftime(unix_secs: Option<i64>, format: &str) -> Result<String, Error> {
    let secs = unix_secs.unwrap_or_else(now);
    let time = Civil::from_unix(secs);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (padded, directive) = match chars.next() {
            Some('-') => (false, chars.next()),
            other => (true, other),
        };
        let number = |value: i64, width: usize| {
            if padded { format!("{value:0width$}") } else { value.to_string() }
        };
        let hour12 = (time.hour + 11) % 12 + 1;
        let text = match directive {
            Some('Y') => time.year.to_string(),
            Some('y') => number(time.year.rem_euclid(100), 2),
            Some('m') => number(time.month, 2),
            Some('d') => number(time.day, 2),
            Some('e') => format!("{:2}", time.day),
            Some('j') => number(time.day_of_year, 3),
            Some('H') => number(time.hour, 2),
            Some('I') => number(hour12, 2),
            Some('M') => number(time.minute, 2),
            Some('S') => number(time.second, 2),
            Some('p') => if time.hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('B') => time.month_name().to_owned(),
            Some('b' | 'h') => time.month_name()[..3].to_owned(),
            Some('A') => time.day_name().to_owned(),
            Some('a') => time.day_name()[..3].to_owned(),
            Some('F') => format!("{}-{:02}-{:02}", time.year, time.month, time.day),
            Some('T') => format!("{:02}:{:02}:{:02}", time.hour, time.minute, time.second),
            Some('%') => "%".to_owned(),
            other => {
                let name = other.map_or_else(String::new, String::from);
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now does not know the directive \"%{name}\""),
                ));
            }
        };
        out.push_str(&text);
    }
    Ok(out)
}

struct Civil {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: i64,
    weekday: usize,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    /// The Gregorian date of a time in UTC.
    fn from_unix(secs: i64) -> Self {
        let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        // Counted from 1 March of year 0, so that the leap day is the last day of its year: 400
        // years are 146,097 days.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let since_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * since_march + 2) / 153;
        let day = since_march - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let day_of_year =
            if month > 2 { since_march + 60 + i64::from(leap) } else { since_march - 305 };
        Self {
            year,
            month,
            day,
            day_of_year,
            weekday: days.rem_euclid(7) as usize,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    fn month_name(&self) -> &'static str {
        MONTHS[(self.month - 1) as usize]
    }

    fn day_name(&self) -> &'static str {
        DAYS[self.weekday]
    }
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn dates_equal_those_of_python() {
        // datetime.fromtimestamp(secs, timezone.utc).strftime("%d %b %Y|%A %B %-d, %y|%H:%M:%S %I %p|%j")
        let cases = [
            (0, "01 Jan 1970|Thursday January 1, 70|00:00:00 12 AM|001"),
            (1_709_164_800, "29 Feb 2024|Thursday February 29, 24|00:00:00 12 AM|060"),
            (1_735_689_599, "31 Dec 2024|Tuesday December 31, 24|23:59:59 11 PM|366"),
            (1_795_436_096, "23 Nov 2026|Monday November 23, 26|12:14:56 12 PM|327"),
            (951_782_400, "29 Feb 2000|Tuesday February 29, 00|00:00:00 12 AM|060"),
            (-1, "31 Dec 1969|Wednesday December 31, 69|23:59:59 11 PM|365"),
        ];
        for (secs, expected) in cases {
            let text = strftime(Some(secs), "%d %b %Y|%A %B %-d, %y|%H:%M:%S %I %p|%j");
            assert_eq!(text.unwrap(), expected);
        }
    }

    #[test]
    fn unknown_directives_are_named() {
        let error = strftime(Some(0), "%Q").unwrap_err();
        assert!(error.to_string().contains("\"%Q\""), "{error}");
        assert!(strftime(Some(0), "%").is_err());
    }
}
