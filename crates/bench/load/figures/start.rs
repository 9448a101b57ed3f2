//! The time from the start of the process to the first 200 of `/health`, with an available database.

use std::time::Instant;

use crate::scale::Scale;
use crate::stage::Stage;
use crate::stats::{Times, number};
use crate::table::{Goal, Line};

pub async fn measure(stage: &Stage, scale: &Scale) -> Vec<Line> {
    let database = stage.database().await;
    let (mut first, mut later) = (Times::default(), Times::default());
    for run in 0..=scale.runs {
        let begun = Instant::now();
        let server = stage.start_replica(&database.url, &[]);
        server.healthy().await;
        if run == 0 { &mut first } else { &mut later }.add(begun.elapsed());
    }
    vec![
        Line::new("start to the first 200 on `/health`", format!("median {} ms", number(later.percentile(50))))
            .against(format!(
                "most {} ms; on an empty database {} ms",
                number(later.percentile(100)),
                number(first.percentile(50))
            ))
            .goal(Goal::at_most(later.percentile(50), 100.0, " ms")),
    ]
}
