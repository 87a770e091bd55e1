//! Rust source as a flat list of tokens: comments are gone, strings are one token, brackets are tokens like others.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One token and the line on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) is_ident: bool,
}

/// Splits a source into tokens. `::` is one token; other operators are one token a character.
pub(crate) fn tokens(path: &str, text: &str) -> Vec<Token> {
    let stream = TokenStream::from_str(text).unwrap_or_else(|e| panic!("{path} is not Rust: {e}"));
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    tokens
}

/// Says whether the tokens from `at` on have these texts.
pub(crate) fn matches_at(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    tokens[at..].len() >= texts.len() && tokens[at..].iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// Returns the place after the bracket that closes the one at `open`.
pub(crate) fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place + 1;
        }
    }
    tokens.len()
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut colon_is_open = false;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, line, is_ident| tokens.push(Token { text, line, is_ident });
        let mut colon_opens = false;
        match tree {
            TokenTree::Ident(ident) => push(ident.to_string(), line, true),
            TokenTree::Literal(literal) => push(literal.to_string(), line, false),
            TokenTree::Punct(punct) if punct.as_char() == ':' && colon_is_open => {
                tokens.last_mut().expect("the first colon is there").text = "::".into();
            }
            TokenTree::Punct(punct) => {
                colon_opens = punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
                push(punct.as_char().into(), line, false);
            }
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(open.into(), line, false);
                flatten(group.stream(), tokens);
                let line = group.span_close().end().line;
                tokens.push(Token { text: close.into(), line, is_ident: false });
            }
        }
        colon_is_open = colon_opens;
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::None => ("", ""),
    }
}
