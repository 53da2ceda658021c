//! The `pgglass` command: a thin stub over `pgglass::cli`.

fn main() -> std::process::ExitCode {
    pgglass::cli::main()
}
