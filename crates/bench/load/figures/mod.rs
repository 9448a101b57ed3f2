//! The figures, one file for each question.

pub mod approvals;
pub mod churn;
pub mod cli;
pub mod cost;
pub mod crowd;
pub mod disconnects;
pub mod fairness;
pub mod faults;
pub mod herd;
pub mod logins;
pub mod loss;
pub mod node_server;
pub mod opens;
pub mod polls;
pub mod soak;
pub mod start;
pub mod waiting;
