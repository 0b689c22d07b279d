"""What of a prompt is worth sending, and how long an answer may be: passages, sections, histories, prompts, payloads
and outputs are shortened here, and every cut is written down. Nothing here asks a model by itself or fails a call.
"""
