//! The mutants: what each does wrong, and the rule that has to find it.

use crate::rules::{self, Rule};

/// One thing that a mutant does wrong.
#[derive(Debug)]
pub struct Mutant {
    /// The fault.
    pub fault: Fault,
    /// What it does, in a few words.
    pub what: &'static str,
    /// The rule that has to find it.
    pub rule: &'static Rule,
    /// Rules that may find it too.
    pub also: &'static [&'static Rule],
    /// The connector that it is a mutant of.
    pub connector: Connector,
}

/// The connectors that there are mutants of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connector {
    /// The stub source.
    Source,
    /// The stub destination.
    Destination,
}

impl Mutant {
    /// The name on the command line, such as `text-on-stdout`.
    pub fn name(&self) -> String {
        let mut name = String::new();
        for letter in format!("{:?}", self.fault).chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

/// Whether, and how, a connector has to do wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mutation(Option<Fault>);

impl Mutation {
    /// The mutation of a mutant; none without a name. The error says that there is no such mutant.
    pub fn named(name: Option<&str>, connector: Connector) -> Result<Self, String> {
        let Some(name) = name else { return Ok(Self(None)) };
        let is_meant = |mutant: &&Mutant| mutant.connector == connector && mutant.name() == name;
        match ALL.iter().find(is_meant) {
            Some(mutant) => Ok(Self(Some(mutant.fault))),
            None => Err(format!("There is no mutant {name:?} of this connector.")),
        }
    }

    /// Whether this is what has to be done wrong.
    pub fn is(self, fault: Fault) -> bool {
        self.0 == Some(fault)
    }
}

macro_rules! mutants {
    ($($connector:ident { $($fault:ident $rule:ident [$($also:ident)*] $what:literal;)* })*) => {
        /// What can be done wrong, one thing a mutant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[doc = $what] $fault,)*)*
        }

        /// All mutants, by the groups of their rules.
        pub static ALL: &[Mutant] = &[
            $($(Mutant {
                fault: Fault::$fault,
                what: $what,
                rule: &rules::$rule,
                also: &[$(&rules::$also),*],
                connector: Connector::$connector,
            },)*)*
        ];
    };
}

mutants! {
    Source {
        TextOnStdout O01 [P04] "prints a line of text at the start of a read";
        PrettyCatalog O01 [D01 P04] "prints the catalog over several lines";
        LogLevelWarning O02 [] "writes a log message of level WARNING";
        RecordWithoutEmittedAt O02 [O06] "leaves emitted_at out of records";
        StatusUnknown O02 [R07] "writes a status DONE instead of COMPLETE";
        KeyDuplicatedInLine O03 [] "writes a key of a record twice";
        NanInRecord O03 [O01 R10 R11 I05 E01] "writes NaN for a number";
        TwoMessagesOnALine O03 [O01 R07 R08 P04] "writes a state behind a record on one line";
        NewlineMissingAtEnd O03 [] "leaves out the last newline";
        ByteOrderMark O03 [O01 P04] "begins the output with a byte order mark";
        InvalidUtf8 O03 [O01 R10 P04] "writes text in Latin-1";
        SuccessAfterError O04 [B01 B02 B03 B04 B05 D09 F10 F13] "exits with 0 after errors";
        FailureAfterSuccess O04 [C01 D01 S01 P02] "exits with 1 after reads that went well";
        PanicsOnBadConfig O04 [B01 O10] "panics at a configuration that is no JSON";
        SecretInLog O05 [] "logs the token that it uses";
        SecretInLogBase64 O05 [] "logs the authorization header in base64";
        SecretInStateUrlEncoded O05 [] "puts the secret into the state, percent-encoded";
        SecretOnStderr O05 [O10] "writes the configuration to stderr";
        EmittedAtInSeconds O06 [] "writes emitted_at in seconds";
        EmittedAtWithDecimals O02 [O06] "writes emitted_at of records with decimals";
        EmittedAtOfBuild O06 [] "writes the same old time in each record";
        SlowSpec O07 [] "takes four seconds for spec";
        ErrorWithoutFailureType O08 [B06] "leaves failure_type out of error traces";
        ErrorWithoutMessage O08 [O02 B06] "leaves the message out of error traces";
        MemberBesidePayload O09 [] "adds a version to every message";
        ChatterOnStderr O10 [] "reports progress on stderr";
        ControlLeavesOut O11 [] "prints only the new token in CONTROL";
        DebugTextOnStdout O12 [O01] "prints plain text with --debug or LOG_LEVEL=debug";

        SpecTwice S01 [] "prints SPEC twice";
        SpecNeedsConfig S01 [P02] "demands --config for spec";
        SpecSchemaInvalid S02 [] "has an unknown type in its schema";
        SpecRefusesConfig S03 [C02] "demands https addresses in its schema only";
        SecretNotMarked S04 [] "does not mark the client secret";
        OneOfWithoutConst S05 [S09] "has variants of a choice without a const";
        SpecWithAllOf S06 [] "uses allOf in its schema";
        SpecWithTypeUnion S06 [] "lets a property be a string or an integer";
        OrderTwice S07 [] "gives two properties the same order";
        SpecClosed S08 [] "forbids additional properties in its schema";
        OauthPathWrong S09 [] "names a property that is not there in advanced_auth";
        OauthSecond S09 [] "puts the OAuth variant behind the other one";
        SpecWithTime S10 [] "puts the time into the spec";
        SpecUntitled S11 [] "has no titles, no descriptions and no documentation";
        SpecChanged S12 [] "has another text in the spec than the expected one";
        DefaultInvalid S13 [] "has a default of another type";

        CheckTwice C01 [] "answers check twice";
        CheckFails C01 [C04 C05 P02] "answers FAILED to a good configuration";
        CheckSkipsValidation C02 [B01] "checks configurations that break the schema with success";
        CheckWithoutCall C03 [C05] "never asks the API in check";
        UnknownPropertyRefused C04 [] "refuses unknown properties in the configuration";
        CheckErrorInsteadOfFailed C05 [C06] "answers a refused token with an error trace";
        FailedWithoutReason C06 [] "leaves the message out of FAILED";

        CatalogTwice D01 [] "prints the catalog twice";
        StreamTwice D02 [] "lists a stream twice";
        SchemaWithoutProperties D03 [R04] "has a schema without properties";
        SchemaWithRef D03 [] "uses $ref in a schema";
        CursorUndeclared D04 [] "has an incremental stream without a cursor";
        KeyNotInSchema D05 [R05 A01 R04] "names a key that the schema lacks";
        KeyIsObject D05 [R05] "names an object as the key";
        FormatUnknown D06 [R03] "uses a format that nobody knows";
        StreamClosed D07 [] "forbids additional properties in a schema";
        CatalogShuffled D08 [] "lists streams in another order each time";
        DiscoverIgnoresConfig D09 [B01 B08] "prints the catalog whatever the configuration is";
        FieldsDifferInCase D10 [R12] "has two fields that differ in case";
        StreamWithoutKey A01 [] "has a stream without a primary key";

        PropertyRemoved U01 [] "has lost a property of the configuration since the last version";
        StreamRemoved U02 [R01] "has lost a stream since the last version";
        FieldRetyped U02 [] "has changed a number into a string since the last version";
        StateFormatChanged U03 [] "cannot read the states of the last version";

        StreamSilentlyEmpty R01 [E01] "reads no rows of one stream";
        ForeignRecord R02 [] "prints a record of another stream";
        NamespaceInvented R02 [R01 R07 R08 R10] "adds a namespace to records";
        ScoreAsString R03 [] "prints numbers as strings";
        TimeWithoutZone R03 [] "prints times without the zone that is declared";
        FieldUndeclared R04 [] "prints a field that the schema lacks";
        KeyMissing R05 [I05 I06 R06 R11] "leaves the key out of some records";
        RowsTwice R06 [] "repeats the last row of a page on the next one";
        RecordAfterComplete R07 [R08 R10] "prints a record after COMPLETE";
        CompleteMissing R07 [] "prints no COMPLETE";
        RunningMissing R07 [] "prints no RUNNING";
        StateAfterComplete R07 [R08] "prints the last state after COMPLETE";
        FullRefreshWithoutState R08 [I01 I10 R09] "prints no state in a full refresh";
        LegacyState R09 [R08 I01 I05 I06 O02 R10] "prints LEGACY states";
        StateNull R09 [R08 I01 I05 I11 I12] "prints states without content";
        CountsOffByOne R10 [] "counts one record too few in a state";
        CountsNotReset R10 [] "counts from the start of the stream in every state";
        RowsAtRandom R11 [E01 E02 E03 R01 P01] "drops rows by chance";
        FieldMisspelt R12 [R04 R14] "declares a field under another name";
        ValueAltered R13 [] "changes a value";
        FieldNeverFilled R14 [R12 R13] "never fills a declared field";
        EmptyRecord R15 [R03 R05 R10] "prints a record without data";

        NoStateWithoutNews I01 [R08 I08] "prints no state when nothing is new";
        StateBehindRecords I02 [I04] "leaves the cursor of a state one page behind";
        StateOfClock I03 [I02] "puts the current time into the state";
        CursorGoesBack I03 [I02 I04] "ends with the cursor of the first page";
        StateIgnored I04 [I05 I08 U03] "reads everything in spite of a state";
        CursorExclusive I05 [I06] "asks for greater cursors only, though equal ones lie on two pages";
        StateAheadOfRecords I05 [I02 I06 R08] "prints the state of a page before its records";
        StatesAhead I06 [I02 I05 R08] "prints all states before the records that they cover";
        EmptyStateRefused I07 [P02 P03] "refuses a state file that holds []";
        FarStateForgotten I08 [] "starts over when the state lies in the future";
        GlobalAliasRejected I09 [P02] "refuses the unknown key global_";
        DupKeyRejected I09 [P02] "refuses repeated keys in states";
        NullInStateRejected I09 [P02] "refuses null in states";
        IncrementalRefused I10 [P02] "refuses incremental for a stream without a cursor";
        PageTokenIgnored I11 [] "starts a resumable full refresh over";
        CompletionIgnored I11 [] "reads again what is complete";
        StatesEqual I12 [I02] "prints the same state twice with records between";
        ForeignStateRefused I13 [] "refuses states of streams that are not configured";

        MissingConfigAccepted B01 [D09 B08] "takes a missing configuration for an empty success";
        EmptyCatalogAccepted B02 [] "takes a broken catalog for one without streams";
        SyncModeGuessed B03 [] "takes unknown sync modes for full refresh";
        UnknownStreamDropped B04 [] "says nothing of a stream that does not exist";
        BrokenStateIgnored B05 [] "starts over when the state file is broken";
        InputErrorsAreSystemErrors B06 [] "calls errors of the user system_error";
        UnknownFlagIgnored B07 [] "ignores unknown flags and commands";
        ReadSkipsValidation B08 [D09] "reads with a configuration that its schema refuses";
        NullInCatalogRefused B09 [P02] "refuses nulls in catalogs";
        UnknownFieldRefused B09 [P02] "refuses unknown fields in catalogs";

        SigtermIgnored X01 [X04] "ignores SIGTERM";
        SigtermHalfLine X01 [O01 O03] "leaves half a line at SIGTERM";
        GoesOnAfterEpipe X02 [X05] "goes on when its output is closed";
        PanicsOnEpipe X02 [O10] "panics when its output is closed";
        SigintIgnored X03 [] "ignores SIGINT";
        SigtermByDefault X04 [] "has no handler for SIGTERM";
        ChildLeftBehind X05 [X01 X02] "leaves a child process behind when it is cancelled";

        PlatformVariables P01 [] "reads less when WORKER_JOB_ID is set";
        TextFilesRefused P02 [] "wants files whose names end in .json";
        CursorRequired P03 [B09 P01] "demands a cursor in the configured catalog";
        FloodOnStderr P03 [O10 P05] "writes more to stderr than a pipe holds";
        BlankLines P04 [O01] "prints blank lines";
        DraftOnStderr P05 [O10] "prints a message to stderr before the answer";

        StreamsDepend E01 [E02 R11] "reads orders in full only together with users";
        OrderMatters E02 [E01] "reads notes in full only when they do not come first";
        LockFile E03 [O04 E01 E02] "uses a lock file of a fixed name";
        HomeNeeded E04 [] "needs a home folder";
        LocalTime E04 [] "prints times of the local zone";
        FolderWritten E04 [] "writes a file into the working folder";
        RowsCollected E05 [E06] "keeps all rows in memory";
        QueueUnbounded E06 [E05] "queues its output without a bound";
        CloudUnguarded E07 [] "asks private addresses in the cloud edition too";

        LimitFatal F01 [] "gives up at 429 with Retry-After";
        RetryAfterRequired F02 [] "gives up at 429 without Retry-After";
        OutageFatal F03 [] "gives up at the first 5xx";
        ResetFatal F04 [F05] "gives up when a connection breaks";
        CutPageDropped F05 [F04] "takes a page that broke off for the last one";
        Impatient F06 [] "waits for answers a fifth of a second only";
        TokenNotRenewed F07 [] "never renews its token";
        HtmlIsEmptyPage F08 [] "takes a web page for an empty page";
        Hammers F09 [F11] "repeats a request a hundred times without a pause";
        NeverGivesUp F10 [F09] "repeats requests for ever";
        CompleteAfterGivingUp F10 [F13] "says COMPLETE and exits with 0 after giving up";
        RetryAfterIgnored F11 [] "waits less than Retry-After says";
        LimitSilent F12 [] "does not announce waits";
        RefusalIsEmpty F13 [] "takes 403 for an empty stream";
        RefusalIsTransient F13 [] "calls 403 a transient error";
        EchoPrinted F14 [O05] "prints the bodies of errors as they come";
    }
    Destination {
        ModesUnnamed S14 [] "does not name its sync modes";
        StateBeforeCommit W01 [W04 W05 W11 W15] "prints states back before their records are written";
        StateReprinted W01 [] "prints states back without the fields that it does not know";
        StatesReversed W01 [W02] "prints states back in reverse order at the end";
        LastStateSwallowed W01 [W03 W11] "never prints the last state back";
        WrittenCountWrong W02 [] "counts one record too many in destinationStats";
        WrittenCountSummed W02 [] "counts from the start in destinationStats";
        CompleteDemanded W03 [W06 W08 W10 W12] "waits for COMPLETE though there are no ids";
        OldRowsDroppedAtStart W04 [W15 W16] "empties the table at the start of a truncate refresh";
        SwapWithoutComplete W04 [W05] "takes the end of the input for COMPLETE";
        StagedRowsDropped W05 [] "throws the rows of the first attempt away";
        LastArrivalWins W06 [] "keeps the row that came last, whatever its cursor";
        KeyIgnored W06 [] "appends in append_dedup";
        StoredRowsForgotten W06 [] "compares cursors with rows of the same sync only";
        BadValueFatal W07 [] "fails at a value of the wrong type";
        BadValueKept W07 [] "stores values of the wrong type as they come";
        ChangeNotNoted W07 [] "nulls values without a note";
        GarbageFatal W08 [] "fails at a line that is no JSON";
        LogFatal W08 [] "fails at messages that are no records or states";
        UnknownStreamSkipped W09 [] "skips records of unknown streams";
        EmptyOverwriteSkipped W10 [] "leaves the table alone when there are no records";
        GlobalSwallowed W11 [] "never prints GLOBAL states back";
        GlobalTooEarly W11 [W01] "writes only one stream before it prints a GLOBAL state back";
        DecimalsRefused W12 [] "fails at an emitted_at with decimals";
        SecondsMisread W12 [] "takes seconds for milliseconds";
        GenerationMissing W13 [] "has no column _airbyte_generation_id";
        ExtractedNow W13 [W12] "stores the time of writing as the time of extraction";
        RawIdRepeated W13 [] "gives all rows the same _airbyte_raw_id";
        LingersAfterEnd W14 [] "stays for a long time after closing stdout";
        ClosesBeforeSwap W14 [] "closes stdout before the last commit";
        CancelCommitted W15 [] "swaps although nobody reads its output any more";
        DeadSourceCommitted W16 [] "swaps although the last line of the stream was a record";
        LettersLost W17 [] "loses letters outside of ASCII";
        NestingLost W17 [] "stores nested objects as text without their content";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<String> = ALL.iter().map(Mutant::name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.contains("text-on-stdout"));
    }

    #[test]
    fn a_mutant_is_found_by_its_name() {
        let mutation = Mutation::named(Some("text-on-stdout"), Connector::Source).unwrap();
        assert!(mutation.is(Fault::TextOnStdout) && !mutation.is(Fault::BlankLines));
        assert!(Mutation::named(Some("nonsense"), Connector::Source).is_err());
    }
}
