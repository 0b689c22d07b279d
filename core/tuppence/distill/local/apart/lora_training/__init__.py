"""Train one LoRA adapter: a program of its own, run as `python -m lora_training SPEC.json`.

It knows nothing of tuppence. It reads a specification, says how far it is as one JSON object a line on standard output,
and leaves an adapter and a merged model behind. It must never outlive whoever started it, and never leave half a
result where a whole one is expected.
"""
