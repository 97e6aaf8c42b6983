//! Re-indents compact JSON without building a tree, so that numbers and order stay as they are.

/// Two-space indentation in the manner of Stripe's bodies; the input must be valid compact JSON.
pub fn indent(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 3 / 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut bytes = compact.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if in_string {
            out.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            b'{' | b'[' if matches!(bytes.peek(), Some(b'}' | b']')) => {
                out.push(byte);
                out.extend(bytes.next());
            }
            b'{' | b'[' => {
                depth += 1;
                out.push(byte);
                new_line(&mut out, depth);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_and_keeps_the_meaning() {
        let compact = r#"{"a":[1,{"b":"x,\"{:é\\"}],"c":{},"d":[],"e":12345678901234567890}"#;
        let pretty = String::from_utf8(indent(compact.as_bytes())).unwrap_or_default();
        assert!(pretty.starts_with("{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x,"));
        assert!(pretty.contains("\"c\": {},\n"));
        let parse = |s: &str| serde_json::from_str::<serde_json::Value>(s).ok();
        assert_eq!(parse(&pretty), parse(compact));
        assert!(parse(&pretty).is_some());
    }
}
