"""SentencePiece Unigram, as the Hugging Face fast tokenizers of XLM-R, ALBERT, DeBERTa-v2 and others run it."""
