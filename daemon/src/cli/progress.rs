//! A run's progress on a terminal.

use fresco_diffusion::Stage;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

/// Draws stages on stderr until the run ends; where stderr is no terminal, nothing is drawn.
pub(super) async fn show(mut stages: UnboundedReceiver<Stage>) {
    let bar = ProgressBar::new(0).with_style(style("{msg:>10} {wide_bar} {bytes}/{total_bytes}"));
    while let Some(stage) = stages.recv().await {
        match stage {
            Stage::Loading { loaded, total } => {
                bar.set_message("Loading");
                bar.set_length(total);
                bar.set_position(loaded);
            }
            Stage::Encoding => bar.set_message("Reading"),
            Stage::Step { step, of } => {
                bar.set_style(style("{msg:>10} {wide_bar} step {pos}/{len} {eta}"));
                bar.set_message("Painting");
                bar.set_length(of.into());
                bar.set_position(step.into());
            }
            Stage::Decoding => bar.set_message("Finishing"),
        }
    }
    bar.finish_and_clear();
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours; a wrong one is drawn the default way.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
