# SPDX-License-Identifier: Apache-2.0
"""Requests to which the stories of the corpus are good replies.

Facts are what can be asked of a story: for a fable the elements that its original request lists,
for a plain story what simple rules find in its text, so that a request never asks for something
that the story does not contain. A request words some of them, another way each time.
"""
import re
from collections import Counter

# What the model says about itself. Written for this model.
SMALL_TALK = [
    (("Hello!", "Hi!", "Hello.", "Hi there!", "Good morning!", "Hey!", "hello", "hi"),
     ("Hello! What kind of story would you like to hear?",
      "Hello! I like to tell stories. What should the story be about?")),
    (("Who are you?", "What are you?", "What is your name?", "Tell me about yourself."),
     ("I am a little storyteller. Give me a few words, and I will make a story out of them.",)),
    (("What can you do?", "Can you help me?", "What do you know?"),
     ("I can tell stories. Tell me who should be in it, and I will begin.",)),
    (("How are you?", "How are you today?", "How do you do?"),
     ("I am well, thank you. Would you like to hear a story?",)),
    (("Thank you!", "Thanks!", "That was a nice story.", "I liked that story.",
      "Thank you so much."),
     ("You are welcome! Would you like to hear another story?",
      "I am glad that you liked it. Shall I tell you another one?")),
    (("Good night!", "Goodbye!", "Bye!", "See you tomorrow!"),
     ("Good night! Sleep well and dream of a good story.",
      "Goodbye! Come back for another story.")),
]


def with_article(phrase):
    """Correct "a ethical bear" to "an ethical bear" and "a rolling hills" to "rolling hills"."""
    article = "an " if re.match(r"an? [aeiou]", phrase) else "a "
    return re.sub(r"^an? ", "" if re.search(r"[^s]s$", phrase) else article, phrase)


def fable_facts(prompt):
    """The elements that a fable's request lists, as {hero, place, trouble, ending, moral}."""
    names = {"Main Character": "hero", "Setting": "place", "Challenge": "trouble",
             "Outcome": "ending", "Teaching": "moral"}
    facts = {}
    for label, value in re.findall(r"- ([A-Z][\w ]+): (.+)", prompt):
        if label in names:
            value = value.replace(" where our story unfolds", "").strip(" .")
            facts[names[label]] = with_article(value)
    return facts


# A noun is taken to be what stands between an article and one of these.
AFTER_NOUN = set("""in on at with and that was who had to for of from is it but so were by near into
    under behind as when because named called she he they we you i could would ran went said . , ! ?
    \"""".split())
NOT_A_THING = set("""time day lot little bit while way thing things one other same next rest end
    first moment big friend friends mom dad girl boy day minute few side top back middle long new
    story small good old best more man woman place hand idea name is it was her him them his my
    their the a an very and so too not no then there all this that much""".split())
NOT_A_NAME = {"Mom", "Dad", "Mrs", "The"}
INTRODUCED = re.compile(r"\b(?:there (?:was|lived)|saw|met) "
                        r"(an? (?:[a-z]+ ){1,3}(?:named|called) [A-Z][a-z]+)")
MENTIONED = re.compile(r"\bthere (?:was|lived) (an? (?:[a-z]+ )?[a-z]+)[.,]")
FOUND = re.compile(r"\bfound (an? (?:[a-z]+ )?)([a-z]+)"
                   r"(?= (?:in|on|at|under|behind|near|and|that)\b|[.,!])")


def story_facts(text):
    """What can be asked of this story, as {hero, names, things, found}; parts may be missing.

    hero   "a friendly dog named Spot"   from the sentence that introduces it
    names  most frequent names first
    things nouns that occur at least twice
    found  what somebody finds in it
    """
    facts = {}
    hero = INTRODUCED.search(text) or MENTIONED.search(text)
    if hero:
        facts["hero"] = hero[1]
    names = Counter(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,9}\b", text))
    facts["names"] = [n for n, c in names.most_common(2) if c >= 2 and n not in NOT_A_NAME]
    words = re.findall(r"[A-Za-z']+|[.,!?\"]", text.lower())
    count = Counter(words)
    facts["things"] = [n for n, c in nouns(words, count).most_common(4) if c >= 2]
    found = FOUND.search(text)
    if found and count[found[2]] >= 2:
        facts["found"] = found[1] + found[2]
    return facts


def nouns(words, count):
    """How often each noun follows an article, with at most one word between."""
    things = Counter()
    for article, *rest in zip(words, words[1:], words[2:], words[3:]):
        if article not in ("a", "an", "the", "her", "his"):
            continue
        noun = next((a for a, b in zip(rest, rest[1:]) if b in AFTER_NOUN), None)
        if noun and is_thing(noun) and count[noun] >= 2:
            things[noun] += 1
    return things


def is_thing(word):
    return (word not in NOT_A_THING and word.isalpha() and len(word) > 2
            and not word.endswith("ed"))


def request(doc, rng):
    """Word a request to which doc's story is a good reply."""
    return fable_request(doc, rng) if doc.source == "fables" else story_request(doc, rng)


def fable_request(doc, rng):
    f = doc.facts
    if rng.random() < 0.05 or not {"hero", "place", "moral"} <= f.keys():
        return doc.prompt
    ask = rng.choice(("Tell me a fable about", "Write a fable about", "Tell me a story about",
                      "Write a short fable about", "Can you tell me a fable about"))
    where = rng.choice((" in ", " who lives in ")) + f["place"] if rng.random() < 0.7 else ""
    if ask.startswith("Can"):
        return f"{ask} {f['hero']}{where}?"
    tail = rng.choice(("", "", f" It should teach that {f['moral'][0].lower()}{f['moral'][1:]}.",
                       f" The moral is: {f['moral']}."))
    return f"{ask} {f['hero']}{where}.{tail}"


def story_request(doc, rng):
    f = doc.facts
    names, things = f.get("names", []), [with_article("a " + t) for t in f.get("things", [])]
    topics = []
    if "hero" in f:
        topics.append(f["hero"])
    if things:
        topics.append(rng.choice(things[:2]))
        if names:
            topics += [f"{names[0]} and {rng.choice(things[:3])}"] * 2
    if len(things) >= 2:
        topics += ["{} and {}".format(*rng.sample(things[:3], 2))]
    if len(names) == 2:
        topics.append(" and ".join(names))
    if "found" in f and rng.random() < 0.3:
        who = names[0] if names and rng.random() < 0.5 else "someone"
        return f"Tell me a story in which {who} finds {f['found']}."
    if not topics or rng.random() < 0.05:
        return rng.choice(("Tell me a story.", "Tell me a bedtime story.",
                           "Can you tell me a story?", "Please tell me a short story.",
                           "I would like to hear a story."))
    topic = rng.choice(topics)
    return rng.choice(("Tell me a story about {}.", "Write a story about {}.",
                       "Can you tell me a story about {}?", "Please write a short story about {}.",
                       "I want to hear a story about {}.", "Tell me a bedtime story about {}.",
                       "Write a short story about {}.", "A story about {}, please.")).format(topic)


def small_talk(rng):
    asks, replies = rng.choice(SMALL_TALK)
    return rng.choice(asks), rng.choice(replies)
