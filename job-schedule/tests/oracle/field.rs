//! The expressions of the test as plain tables, read without any code of the crate.

use chrono::{Datelike, NaiveDateTime, Timelike};

/// What each field takes, by its number.
pub(crate) struct Fields {
    minute: Vec<bool>,
    hour: Vec<bool>,
    day: Vec<bool>,
    month: Vec<bool>,
    weekday: Vec<bool>,
    /// Day of month and day of week are both restricted: one of them is enough.
    is_either: bool,
}

impl Fields {
    pub(crate) fn parse(expression: &str) -> Self {
        let [minute, hour, day, month, weekday] = expression.split(' ').collect::<Vec<_>>().try_into().unwrap();
        Self {
            minute: table(minute, 0, 59),
            hour: table(hour, 0, 23),
            day: table(day, 1, 31),
            month: table(month, 1, 12),
            weekday: table(weekday, 0, 6),
            is_either: !day.starts_with('*') && !weekday.starts_with('*'),
        }
    }

    pub(crate) fn matches(&self, wall: NaiveDateTime) -> bool {
        let has = |table: &[bool], value: u32| table[value as usize];
        if !has(&self.minute, wall.minute()) || !has(&self.hour, wall.hour()) || !has(&self.month, wall.month()) {
            return false;
        }
        let (day, weekday) = (has(&self.day, wall.day()), has(&self.weekday, wall.weekday().num_days_from_sunday()));
        if self.is_either { day || weekday } else { day && weekday }
    }

    pub(crate) fn is_hourly(&self) -> bool {
        count(&self.hour) == 24
    }

    pub(crate) fn is_one_time_of_day(&self) -> bool {
        self.runs_a_day() == 1
    }

    pub(crate) fn runs_a_day(&self) -> usize {
        count(&self.minute) * count(&self.hour)
    }
}

fn count(table: &[bool]) -> usize {
    table.iter().filter(|is_in| **is_in).count()
}

fn table(field: &str, first: usize, last: usize) -> Vec<bool> {
    let mut table = vec![false; last + 1];
    for item in field.split(',') {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let number = |text: &str| text.parse::<usize>().unwrap();
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from), number(to)),
            None => (number(range), number(range)),
        };
        (from..=to).step_by(number(step)).for_each(|value| table[value] = true);
    }
    table
}
