#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print the text of examples/train in the English of today: another style of the same text.

    modern.py > TEXT

The King James Version of Debian's bible-kjv (see make_tokens.py), its old pronouns, verbs and
words replaced by rules: thou, unto, -eth.  Chapters stay documents.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'train'))
import make_tokens  # noqa: E402

WORDS = dict(line.split(None, 1) for line in """
thou you
thee you
ye you
thy your
thine your
thyself yourself
unto to
upon on
hath has
hast have
doth does
dost do
art are
wast were
wert were
shalt will
shall will
wilt will
canst can
mayest may
couldest could
wouldest would
shouldest should
didst did
hadst had
saith says
saidst said
saidest said
spake spoke
brake broke
bare bore
begat fathered
nigh near
verily truly
wherefore therefore
whither where
hither here
thither there
whence from where
hence from here
thence from there
yea yes
nay no
lo look
behold look
wherein in which
whereof of which
whereby by which
wherewith with which
therein in it
thereof of it
thereon on it
thereby by it
therewith with it
hearken listen
hearkened listened
smite strike
smote struck
smitten struck
slay kill
slew killed
slain killed
raiment clothing
damsel girl
sware swore
clave split
drave drove
gat got
twain two
betwixt between
ere before
peradventure perhaps
howbeit however
notwithstanding yet
seeth sees
fleeth flees
""".strip().splitlines())
KEPT = {'teeth', 'seth', 'heth', 'beth', 'twentieth', 'thirtieth', 'fortieth', 'fiftieth'}


def third_person(stem):
    """say + s, pass + es, mak + es"""
    if re.search(r'[^aeiou][aeiou]([bdgmnprt])\1$', stem):      # sitteth, runneth
        return stem[:-1] + 's'
    if re.search(r'(i|o|s|x|z|ch|sh|v|c)$|[^n]g$', stem):       # passeth, loveth
        return stem + 'es'
    if re.search(r'[^aeiou][aeiou][^aeiouwxy]$', stem) and not re.search('e[nrl]$', stem):
        return stem + 'es'                                      # maketh, cometh
    return stem + 's'


def modern_word(word):
    low = word.lower()
    if low in WORDS:
        new = WORDS[low]
    elif low in KEPT or len(low) < 5 or low[0] != word[0]:   # and names
        return word
    elif low.endswith('eth'):
        new = third_person(low[:-3])
    else:
        return word
    return new.capitalize() if word[0].isupper() else new


def main():
    chapters = make_tokens.read_bible()
    print('\n\n'.join(re.sub('[A-Za-z]+', lambda m: modern_word(m.group()), c) for c in chapters))


main()
