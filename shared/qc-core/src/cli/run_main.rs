//! The frame of every `main`: command line in, exit code out, no panic without a line and a code.

use std::any::Any;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use super::{Exit, Failure, Globals, Output};
use crate::safe_text::safe;

/// Parses `args` as `P` and runs `main`. A wrong command line exits with 2, a failure is printed and
/// exits with its code, a closed pipe exits with 141 in silence, a panic with 70.
pub fn run_main<P: Parser>(
    program: &'static str,
    args: impl IntoIterator<Item = OsString>,
    globals: impl FnOnce(&P) -> &Globals,
    main: impl FnOnce(P, &Output) -> Result<(), Failure>,
) -> ExitCode {
    std::panic::set_hook(Box::new(move |panic| report_panic(program, panic)));
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = match P::try_parse_from(&args) {
        Ok(parsed) => parsed,
        Err(error) => return usage(program, &args, &error).into(),
    };
    let output = Output::new(globals(&parsed), program);
    match catch_unwind(AssertUnwindSafe(|| main(parsed, &output))) {
        Ok(Ok(())) => Exit::Ok.into(),
        Ok(Err(failure)) => output.fail(&failure),
        Err(_reported) => Exit::Bug.into(),
    }
}

/// Prints help and version to stdout, errors to stderr.
fn usage(program: &'static str, args: &[OsString], error: &clap::Error) -> Exit {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked_for && wants_json(args) {
        let globals = Globals {
            json: true,
            ..Globals::default()
        };
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default();
        let message = safe(first.trim_start_matches("error: "), 500);
        let failure =
            Failure::new(Exit::Usage, "QC0007", message).help(format!("{program} --help"));
        let _code = Output::new(&globals, program).fail(&failure);
        return Exit::Usage;
    }
    match error.print() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
        _ if asked_for => Exit::Ok,
        _ => Exit::Usage,
    }
}

/// What a command line that could not be parsed seems to ask for.
fn wants_json(args: &[OsString]) -> bool {
    let pair = |pair: &[OsString]| match pair {
        [flag, value] => (flag == "-o" || flag == "--output") && value == "json",
        _ => false,
    };
    let alone = |arg: &OsString| arg == "--json" || arg == "--output=json" || arg == "-ojson";
    args.iter().any(alone) || args.windows(2).any(pair)
}

/// One line on stderr and in the log.
fn report_panic(program: &str, panic: &PanicHookInfo<'_>) {
    let said = said(panic.payload());
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_else(|| "an unknown place".to_owned());
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed").to_owned();
    tracing::error!(code = "QC0006", %place, %thread, "A bug: {said}");
    let line = format!("error[QC0006] {program}: a bug: {said}, at {place} in thread {thread}");
    let _nobody_listens = writeln!(io::stderr().lock(), "{line}");
}

fn said(payload: &dyn Any) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    safe(text.unwrap_or("a panic without words"), 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        globals: Globals,
        /// What happens
        story: String,
    }

    fn exit(args: &[&str]) -> String {
        let args = std::iter::once("qc-test").chain(args.iter().copied());
        let code = run_main::<Args>(
            "qc-test",
            args.map(OsString::from),
            |args| &args.globals,
            |args, _| match args.story.as_str() {
                "well" => Ok(()),
                "pipe" => Err(Failure::new(Exit::ClosedPipe, "QC0002", "closed")),
                "conflict" => Err(Failure::new(Exit::Conflict, "QC1102", "held")),
                _ => panic!("as the test wants"),
            },
        );
        format!("{code:?}")
    }

    #[test]
    fn every_end_has_its_code() {
        let code = |number: u8| format!("{:?}", ExitCode::from(number));
        let hook = std::panic::take_hook();
        for (args, expected) in [
            (&["well"][..], 0),
            (&["conflict"], 9),
            (&["pipe"], 141),
            (&["boom"], 70),
            (&[], 2),
            (&["--no-such-flag", "--json"], 2),
            (&["--help"], 0),
        ] {
            assert_eq!(exit(args), code(expected), "{args:?}");
        }
        std::panic::set_hook(hook);
    }
}
