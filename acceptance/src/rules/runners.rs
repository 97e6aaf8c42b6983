//! X, P, E: how runners start and stop connectors, and what they run in.

use super::rules;

rules! { SIGNALS;
    X01 Error "SIGTERM ends a read soon, at a whole line, with states that hold"
        why "Every orchestrator stops connectors by it, and goes on from the last state."
        fix "Stop asking the API, write what is complete and the state that covers it, and exit.";
    X02 Error "a closed pipe ends the process soon and quietly"
        why "PyAirbyte, head and a cancelled sync close the pipe; a process that goes on uses up the API's quota."
        fix "Treat a broken pipe as the end of the work.";
    X03 Warning "SIGINT ends a read as SIGTERM does"
        why "It is what Ctrl-C sends to people who try the connector in a terminal."
        fix "Handle both signals alike.";
    X04 Warning "SIGTERM is obeyed by a process that is PID 1"
        why "In a container the connector is PID 1, for which the kernel has no default action: docker stop waits ten seconds and kills."
        fix "Install a handler for SIGTERM.";
    X05 Error "a sync that the platform cancels leaves no process behind"
        why "The platform closes the pipes and sends no signal; an orphan would go on reading for hours."
        fix "Exit at the first broken pipe.";
}

rules! { RUNNERS;
    P01 Error "the platform's shell wrapper with named pipes reads the same records"
        why "This is how self-managed and cloud Airbyte run every connector."
        fix "Do not depend on a terminal, a seekable stdout or the path of the files.";
    P02 Error "PyAirbyte's way of calling works"
        why "It ends spec, check and discover at the first answer, asks incremental of every stream, gives files other names and write protection, and hands states back as its models print them."
        fix "See the finding; most often a parser that is too strict.";
    P03 Error "Meltano's way of calling works"
        why "It hands over catalogs without cursor and key, leaves stderr undrained until the end, and stops at the first error trace."
        fix "See the finding.";
    P04 Error "a strict line reader accepts the output"
        why "faros airbyte-local-cli aborts at any line that is no JSON."
        fix "Print nothing but messages to stdout.";
    P05 Error "the first answer on stdout and stderr together is the right one"
        why "airbyte-serverless merges the two and takes the first message that is no LOG, TRACE or CONTROL for the answer."
        fix "Keep stderr empty and print the answer first.";
}

rules! { ENVIRONMENT;
    E01 Error "a stream read alone gives the same records as together with others"
        why "Users select some streams only."
        fix "Look for shared state between streams and parents that are read only by accident.";
    E02 Error "the order of streams in the catalog does not matter"
        why "Runners order them by their own rules."
        fix "Look streams up by name.";
    E03 Error "two instances at once do not disturb each other"
        why "Several connections of one connector run on one machine."
        fix "Use no fixed file names, ports or lock files.";
    E04 Error "it runs as any user, without a home, in a read-only folder, in any time zone"
        why "Platforms run images under arbitrary user ids, with write access to little."
        fix "Write nothing outside of temporary files, and compute in UTC.";
    E05 Error "memory does not grow with the amount of data"
        why "A table ten times as large kills the sync."
        fix "Stream pages and records instead of collecting them.";
    E06 Error "a slow reader of stdout does not make memory grow"
        why "A slow destination would bring down the source."
        fix "Bound the queue between reading and writing.";
    E07 Warning "in the cloud edition private and unencrypted addresses are refused"
        why "A shared platform must not be led into its own network."
        fix "Refuse http: and private addresses when DEPLOYMENT_MODE or AIRBYTE_EDITION says cloud.";
}
