#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cdk_fuzz::files(data));
