"""Tools: what a caller offers, how the model is told, and how calls come back; pure.

Reading order: `plan` (which tools, and whether one must be called), `flatten` and `offer` (how they are told to the
model), `calls` (a call, and how OpenAI says it), `forced` (calls that a grammar demands), `leaked` and `rescue`
(calls that a model wrote as text).
"""

from o2o.translate.tools.calls import Call, to_function_call, to_openai_call
from o2o.translate.tools.forced import check_arguments, forced_format, read_forced, shown_call
from o2o.translate.tools.offer import in_words, nudge, prompt_description, to_ollama
from o2o.translate.tools.plan import Offered, ToolPlan, choose
from o2o.translate.tools.rescue import Rescue

__all__ = [
    "Call",
    "Offered",
    "Rescue",
    "ToolPlan",
    "check_arguments",
    "choose",
    "forced_format",
    "in_words",
    "nudge",
    "prompt_description",
    "read_forced",
    "shown_call",
    "to_function_call",
    "to_ollama",
    "to_openai_call",
]
