# SPDX-License-Identifier: Apache-2.0
"""The training texts: which are used, how they are read and cleaned.

Every document leaves this file as a Doc: a story, the source it came from, and the facts from which
wording.py words a request for it. How often each source is drawn and how documents are laid into
rows is decided in rows.py.
"""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from wording import fable_facts, story_facts

# Fables by models whose licence puts conditions on what is trained on their output are left out;
# these models are published under Apache-2.0 or MIT.
FABLE_MODELS = {
    "mistralai/Mistral-7B-Instruct-v0.3",
    "microsoft/Phi-3-mini-4k-instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen2.5-7B",
    "HuggingFaceTB/SmolLM2-1.7B-Instruct",
}
STORY_FILES = {
    "tinystories": ("tinystories_v1_train_part.txt", "tinystories_v2_train_part.txt",
                    "tinystories_v1_train_part2_recased.txt"),
    "picture_books": ("african_storybook_en.txt", "pratham_books_en.txt"),
    "fairy_tales": ("fairytaleqa_stories.txt",),
}
BOOK_FILE = "childrens_classics.txt"
BOOK_PIECE = 8000  # characters, about 2000 tokens
HELD_OUT = {"tinystories": 200, "fables": 60}  # documents

PLAIN = str.maketrans({
    "“": '"', "”": '"', "‘": "'", "’": "'", "´": "'", "`": "'", "…": "...", "—": " - ", "–": " - ",
    "\u00a0": " ", "\u200b": ""})


@dataclass
class Doc:
    source: str
    story: str
    prompt: str = ""  # the request as its source words it; fables only
    facts: dict = field(default_factory=dict)  # see wording.py


def clean(text):
    """Plain quotes and dashes, no trailing spaces, one blank line at most."""
    text = text.translate(PLAIN)
    text = re.sub(r"(?<=[a-z])'S\b", "'s", text)  # an error of the recased file
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return text.strip()


def mend_capitals(text):
    """Capitals that the recased file lacks at the start of speech, or has right after it."""
    text = re.sub(r'(?<=[!?]" )(He|She|They|It|Said|Asked|Replied|Shouted|Cried|Yelled|Exclaimed)'
                  r"(?= (?:said|asked|replied|shouted|cried|yelled|exclaimed|the|his|her)\b)",
                  lambda m: m[1].lower(), text)
    return re.sub(r'((?:^|[,.!?:]\s+|\n)")([a-z])', lambda m: m[1] + m[2].upper(), text)


def is_sound(text):
    """Reject what is cut off, broken in its encoding, or not a story."""
    if not 200 <= len(text) <= 20000 or text[-1] not in '.!?"\')':
        return False
    odd = sum(ord(c) > 127 for c in text)
    return odd <= 0.002 * len(text) and not re.search(r"[{}<>\\|*#_]|http|www\.", text)


def read_stories(folder):
    """Every story of STORY_FILES, each text once."""
    docs, seen = [], set()
    for source, names in STORY_FILES.items():
        for name in names:
            for text in (Path(folder) / "text" / name).read_text("utf-8").split("<|endoftext|>"):
                text = clean(text)
                if "recased" in name:
                    text = mend_capitals(text)
                if source != "tinystories":
                    text = re.sub(r"[*#_|]", "", text)
                key = re.sub(r"\W", "", text.lower())[:150]
                if key in seen or not is_sound(text):
                    continue
                seen.add(key)
                facts = story_facts(text) if source == "tinystories" else {}
                docs.append(Doc(source, text, facts=facts))
    return docs


def read_classics(folder):
    """The books, cut between paragraphs; without headings and verse, which end in no full stop."""
    docs = []
    for book in (Path(folder) / "text" / BOOK_FILE).read_text("utf-8").split("<|endoftext|>"):
        book = re.sub(r"[*#_|]", "", clean(book))
        paragraphs = [p for p in book.split("\n") if p and p[-1] in '.!?"\'']
        docs += [Doc("classics", piece) for piece in pieces(paragraphs) if is_sound(piece)]
    return docs


def pieces(paragraphs):
    """Join neighbouring paragraphs into texts of at most BOOK_PIECE characters, or of one."""
    part, size = [], 0
    for paragraph in paragraphs:
        if part and size + len(paragraph) > BOOK_PIECE:
            yield "\n".join(part)
            part, size = [], 0
        part.append(paragraph)
        size += len(paragraph) + 1
    yield "\n".join(part)


def read_fables(folder, by_others=False):
    """Request and fable of each pair that FABLE_MODELS wrote, or of each that they did not."""
    docs = []
    for line in (Path(folder) / "chat-data" / "tinyfabulist_chat.jsonl").open(encoding="utf-8"):
        pair = json.loads(line)
        if (pair["source_model"] in FABLE_MODELS) == by_others:
            continue
        prompt, story = (clean(m["content"]) for m in pair["messages"][:2])
        story = re.sub(r"\*\*|^#+ .*\n+|^Title:.*\n+", "", story).strip()
        if is_sound(story):
            docs.append(Doc("fables", story, prompt, fable_facts(prompt)))
    return docs


def unseen_fables(folder, docs, rng):
    """Fables for scoring only: none of docs has their request or their writer."""
    seen = {d.prompt for d in docs}
    unseen = [d for d in read_fables(folder, by_others=True) if d.prompt not in seen]
    return rng.sample(unseen, HELD_OUT["fables"])


def split_held_out(docs, rng):
    """(train, held) where held maps a source to its held-out documents."""
    docs = list(docs)
    rng.shuffle(docs)
    train, held = [], {source: [] for source in HELD_OUT}
    for doc in docs:
        if len(held.get(doc.source, ())) < HELD_OUT.get(doc.source, 0):
            held[doc.source].append(doc)
        else:
            train.append(doc)
    return train, held
