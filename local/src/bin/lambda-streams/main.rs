//! Brings back records that a Lambda function on a DynamoDB stream gave up, and runs such functions on a laptop.

mod args;
mod aws;
mod backfill;
mod cli;
mod deliver;
mod documents;
mod explain;
mod failure;
mod function;
mod heard;
mod input;
mod invoke;
mod journal;
mod mapping;
mod on_failure;
mod outcomes;
mod places;
mod redrive;
mod replay;
mod run;
mod sending;
mod signals;
mod source;
mod table;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot be started: {error}");
            return ExitCode::from(1);
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(*args).await,
            Command::Invoke(args) => invoke::invoke(*args).await,
            Command::Explain(args) => explain::explain(&args).await,
            Command::Backfill(args) => backfill::backfill(*args).await,
            Command::Replay(args) => replay::replay(*args).await,
            Command::Redrive(args) => redrive::redrive(*args).await,
        }
    });
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
