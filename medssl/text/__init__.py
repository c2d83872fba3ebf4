"""Reports: their sections, sentences, de-identification tokens, findings and tokenizers."""
