"""Makes a model with random weights that vLLM can serve: make_model.py FOLDER

What it says is noise. The tests make it say what they want with `structured_outputs.choice`.
"""
import glob
import os
import sys
import sysconfig

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

VOCABULARY = 2048
END, START = "<|im_end|>", "<|im_start|>"
MARKERS = ["<tool_call>", "</tool_call>"]  # vLLM's parser wants these to be tokens
TEMPLATE = "{{ (tools or []) | tojson }}{{ messages | tojson }}" + START + "assistant\n"


def texts():
    for path in sorted(glob.glob(os.path.join(sysconfig.get_paths()["stdlib"], "*.py")))[:80]:
        with open(path, encoding="utf8", errors="ignore") as file:
            yield file.read()


def tokenizer():
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - len(MARKERS), special_tokens=[END, START], initial_alphabet=alphabet, show_progress=False)
    plain.train_from_iterator(texts(), trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=END, pad_token=END)
    made.add_tokens(MARKERS)
    made.chat_template = TEMPLATE
    return made


def main():
    folder = sys.argv[1]
    made = tokenizer()
    made.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=1, head_dim=32, max_position_embeddings=131072, eos_token_id=made.eos_token_id,
                         bos_token_id=made.eos_token_id, pad_token_id=made.eos_token_id)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


main()
