//! The table of a run: one line for each figure.

use crate::stats::number;

#[derive(Debug, Clone)]
pub struct Line {
    figure: String,
    measured: String,
    against: String,
    goal: Option<Goal>,
}

#[derive(Debug, Clone, Copy)]
pub struct Goal {
    value: f64,
    bound: Bound,
    unit: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub fn at_least(value: f64, bound: f64, unit: &'static str) -> Self {
        Self { value, bound: Bound::AtLeast(bound), unit }
    }

    pub fn at_most(value: f64, bound: f64, unit: &'static str) -> Self {
        Self { value, bound: Bound::AtMost(bound), unit }
    }

    fn is_reached(self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::AtMost(bound) => self.value <= bound,
        }
    }

    /// `0.83 (≥ 0.65): reached`
    fn cell(self) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::AtMost(bound) => ("≤", bound),
        };
        let verdict = if self.is_reached() { "reached" } else { "**missed**" };
        format!("{} ({sign} {}{}): {verdict}", number(self.value), number(bound), self.unit)
    }
}

impl Line {
    pub fn new(figure: &str, measured: impl Into<String>) -> Self {
        Self { figure: figure.to_owned(), measured: measured.into(), against: String::new(), goal: None }
    }

    pub fn against(mut self, other: impl Into<String>) -> Self {
        self.against = other.into();
        self
    }

    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub fn is_missed(&self) -> bool {
        self.goal.is_some_and(|goal| !goal.is_reached())
    }

    /// As a row in Markdown.
    pub fn row(&self) -> String {
        let goal = self.goal.map_or_else(|| "stated".to_owned(), Goal::cell);
        format!("| {} | {} | {} | {goal} |", self.figure, self.measured, self.against)
    }
}

pub const HEAD: &str = "| figure | measured | against | to reach |\n|---|---|---|---|";
