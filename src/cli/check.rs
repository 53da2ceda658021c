//! placeholder
use std::path::PathBuf;
use std::process::ExitCode;
/// x
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "pgglass.toml")]
    pub config: PathBuf,
}
pub(crate) fn run(_a: CheckArgs) -> ExitCode {
    ExitCode::SUCCESS
}
