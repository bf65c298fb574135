//! String literals as Python reads them: the engine knows the escapes of JSON.

/// Rewrites, inside the tags of a template, the escapes that Python and the engine read differently: a
/// backslash at the end of a line joins it with the next, `\a`, `\v` and `\U0001F600` are characters, and
/// `\/` is two.
pub(super) fn as_in_python(source: &str) -> String {
    if !source.contains('\\') {
        return source.to_owned();
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        let (text, tag) = rest.split_at(start);
        out.push_str(text);
        let length = match tag.as_bytes().get(1) {
            Some(b'#') => tag.find("#}").map_or(tag.len(), |at| at + 2),
            Some(b'{') => copy_tag(tag, "}}", &mut out),
            Some(b'%') => copy_tag(tag, "%}", &mut out),
            _ => 1,
        };
        let (tag, behind) = tag.split_at(length);
        if !matches!(tag.as_bytes().get(1), Some(b'{' | b'%')) {
            out.push_str(tag);
        }
        rest = behind;
        if is_raw(tag) {
            let end = rest.find("endraw").unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

fn is_raw(tag: &str) -> bool {
    tag.starts_with("{%") && tag.trim_matches(|c: char| !c.is_alphanumeric()) == "raw"
}

/// Copies a tag that begins here, its literals rewritten; its length in the source.
fn copy_tag(tag: &str, close: &str, out: &mut String) -> usize {
    let mut quote: Option<char> = None;
    let mut chars = tag.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if at >= 2 && tag[at..].starts_with(close) => {
                out.push_str(close);
                return at + close.len();
            }
            None => {
                quote = Some(c).filter(|c| matches!(c, '"' | '\''));
                out.push(c);
            }
            Some(_) if c == '\\' => {
                let (length, text) = escape(&tag[at..]);
                out.push_str(&text);
                // The escape is ASCII but for the character behind the backslash.
                let end = at + length;
                while chars.clone().next().is_some_and(|(next, _)| next < end) {
                    chars.next();
                }
            }
            Some(open) => {
                quote = quote.filter(|_| c != open);
                out.push(c);
            }
        }
    }
    tag.len()
}

/// Bytes of the escape that begins here, and what the engine reads as Python reads it.
fn escape(text: &str) -> (usize, String) {
    let Some(kind) = text[1..].chars().next() else { return (1, "\\".to_owned()) };
    let length = 1 + kind.len_utf8();
    match kind {
        '\n' => (length, String::new()),
        'a' => (length, "\\x07".to_owned()),
        'v' => (length, "\\x0b".to_owned()),
        '/' => (length, "\\\\/".to_owned()),
        'U' => {
            let digits = text.get(2..10);
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match code.and_then(char::from_u32).filter(|c| !matches!(c, '"' | '\'' | '\\')) {
                Some(c) => (10, c.to_string()),
                None => (length, text[..length].to_owned()),
            }
        }
        _ => (length, text[..length].to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::as_in_python;

    #[test]
    fn only_literals_inside_tags_change() {
        for (source, expected) in [
            ("{{ 'a\\\nb' }}", "{{ 'ab' }}"),
            ("{%- set x = \"a\\\n\\\nb\" %}c\\\nd", "{%- set x = \"ab\" %}c\\\nd"),
            ("{{ '\\a\\v\\/' }}", "{{ '\\x07\\x0b\\\\/' }}"),
            ("{{ '\\U0001F600\\U0001' }}", "{{ '\u{1F600}\\U0001' }}"),
            ("{{ '\\\\' }}{{ '\\'\\\n' }}", "{{ '\\\\' }}{{ '\\'' }}"),
            ("{{ '}}\\\n' }}", "{{ '}}' }}"),
            ("{# it's \\\n #}{{ 'a\\\n' }}", "{# it's \\\n #}{{ 'a' }}"),
            ("{% raw %}{{ 'a\\\n' }}{% endraw %}", "{% raw %}{{ 'a\\\n' }}{% endraw %}"),
            ("{ '\\\n' } {", "{ '\\\n' } {"),
            ("{{ 'open\\\n", "{{ 'open"),
            ("{{ 'ü\\ü", "{{ 'ü\\ü"),
            ("{{ 'end\\", "{{ 'end\\"),
        ] {
            assert_eq!(as_in_python(source), expected, "{source:?}");
        }
    }
}
