"""What users and customers say: surveys, tickets and reviews."""

from __future__ import annotations

from .blocks import fields, form, listing, maybe, say, tell
from .plan import Plan

_ASK = """
How [satisfied|happy] are you with [our|the] {asked}? [1 2 3 4 5|very satisfied / satisfied / dissatisfied|very poor \
  to excellent]
[How likely are you to|Would you] recommend [us|{seller}|our {product}] to [a friend|others]? [0-10|yes / no|]
How often do you [use|visit|buy] [our {asked}|{seller}|{product}]? [daily / weekly / monthly / never|]
[Which|What] [of the following |][features|products|services] [do you use|matter most to you]? [tick all that apply|]
[Please rate|Rate] [the|our] {asked}: [poor fair good excellent|1 = bad, 5 = very good|_ _ _ _ _]
[Your age|Age group]: [18-24 / 25-34 / 35-50 / over 50|under 20, 20-40, over 40]
[What could we improve|Any other comments|What did you like best|Other suggestions]? [________________|]
[I feel|You feel] [valued at work|well informed|treated fairly]: [strongly agree / agree / disagree|yes / partly / no]
[How did you hear about us|Where did you learn of {seller}]? [internet / friends / advertisement / other|]
[Was|Were] [the {asked}|our staff|your questions] [helpful|friendly|answered to your satisfaction]? [yes no|yes / no \
  / don't know|]
[Gender|Occupation|Household size|Postcode]: [______|]
"""

SURVEY = Plan(
    "[customer satisfaction |employee |visitor |patient |market research |course "
    "|][survey|questionnaire|feedback form|survey form][|| {year}]|your opinion [counts|matters]|tell us what "
    "you think|we value your feedback",
    (
        maybe(
            0.35,
            form(
                fields("""
        name (optional)|respondent|participant|your name = [________|{you}|anonymous]
        questionnaire no.|form no.|survey id = {id}
        course|department|branch|event|product = {asked}|{department}|{city}|{venue}|{product}
        interviewer|researcher|survey by = {me}|{me}|{seller}
        date of visit|date|survey period = {earlier}|{date}|{period}
        """),
                (),
                1,
                4,
            ),
        ),
        say(
            """
        [Thank you for taking part|Thank you for your time]. [This survey|The questionnaire] takes [about |]{n} \
          minutes[ and is anonymous|].
        [Please tick|Please circle|Mark] one [box|answer|number] per question.
        [We would like to know|Help us to learn] [what you think of|how you see] [our {asked}|{seller}].
        All answers are [confidential|anonymous|treated confidentially]. [Return the form by {later}.|Win a {product}!|]
        """,
            1,
            3,
            0.85,
        ),
    ),
    (
        listing(_ASK, 4, 10),
        maybe(
            0.4,
            say(
                "[Thank you for your answers|Thank you for completing this questionnaire][!|.] [Please return it "
                "to {mail}.|Drop it in the box at reception.|]",
                1,
                1,
            ),
        ),
    ),
)

TICKET = Plan(
    "[support |helpdesk |incident |trouble |][ticket|case|ticket|request][|| #{docid}| "
    "{docid}]|[ticket|incident] {docid}: {techissue}|bug report[|: {techissue}]|[new|open] support request",
    (
        form(
            fields("""
        ticket id|ticket no.|ticket #|case id|incident no. = {docid}
        priority|severity|urgency = [low|medium|high|urgent|P{digit}|critical]
        status|state|ticket status = [open|closed|in progress|waiting for customer|resolved|escalated]
        assigned to|agent|assignee|owner = {me}
        reported by|requester|user|customer = {you}
        category|component|product|application = {software}|{device}
        created|opened|reported on = {date} {time}
        environment|version|os = [Windows 10|Windows 11|macOS|Android {n}|iOS|Linux|Chrome|Firefox], v{digit}.{n}
        issue|summary|subject|problem = {techissue}
        """),
            (),
            3,
            7,
        ),
    ),
    (
        tell(
            (
                """
        {techissue} [since {weekday}|since the last update|after I changed my password|every morning].
        [When I|Whenever I|As soon as I] [open|start|update|log in to] {software}, [I get the error "{errortext}"|it \
          crashes|the screen goes blank|nothing happens].
        [Our|My] {device} [does not|doesn't|no longer] [work|turn on|connect to the network|print], [it shows \
          {errortext}|please help].
        [Users in {department}|Several colleagues] [report|say] that {techissue}.
        """,
                """
        [Steps to reproduce|To reproduce]: 1. open {software} 2. click [save|export|print|login] 3. [error \
          appears|see error {nnn}].
        [I already tried|Already tried] [restarting|reinstalling {software}|clearing the cache|another cable], \
          [without success|no luck|same result].
        [Expected|Expected result]: [file is saved|page loads|report opens]. [Actual|Actual result]: {errortext}.
        """,
                """
        [Agent note|Comment by {me}|Update {day}]: [asked the user to {fix}|{fix}, please confirm|could not \
          reproduce, need the log file].
        [Resolution|Solution|Fix]: {fix}. [User confirmed that it works.|Ticket closed.|]
        """,
                """
        [Please|Could you] [help as soon as possible|call me on {phone}|reset my account|send someone] [, this \
          blocks my work|, deadline is {weekday}|][.|!]
        [Thanks for contacting|Thank you for contacting] {seller} support[, your request has number {docid}|].
        """,
            ),
            "\n",
        ),
    ),
)

REVIEW = Plan(
    "[{stars} - |][great|terrible|good|disappointing|decent|excellent|not worth the money|love it|five "
    "stars|would not buy again][|| {product}][!|.|]|review[: {goods}| of the {goods}|]|customer review",
    (
        maybe(
            0.5,
            form(
                fields("""
        rating|stars|score = {stars}
        reviewed by|reviewer|by = {first} {last}
        verified purchase|reviewed on|review date = yes|{date}|{date}
        pros|likes = {pro}, {pro}
        cons|dislikes = {con}
        product|item = {goods}
        """),
                (),
                2,
                5,
            ),
        ),
    ),
    (
        tell(
            (
                """
        [I bought|I purchased|Got|We ordered] this {goods} [{n} weeks ago|last {month}|for my \
          [son|wife|mother|office|new flat]|as a gift|to replace an old one] and [I love it|it is {pro}|I am very \
          pleased|I regret it|it broke after {n} days].
        [Great|Excellent|Good|Poor|Terrible|Disappointing] [product|quality|value]. [{pro}, {pro}.|The {goods} is \
          {con}.|]
        [Really|So] [happy|disappointed] with this {goods}[!|.]
        """,
                """
        [The quality|The material|The design|The colour|The size] is [{pro}|{con}|as described|better than expected].
        It [is|feels|seems] {pro}, [but|although] [it is {con}|a little {con}|the price is high].
        [Delivery|Shipping] was [fast|slow|quick] [and the packaging was fine|but the box was damaged|].
        [My|Our] [husband|daughter|neighbour|dog|kids] [loves|love|hates|tried] it [too|as well|at once].
        [Setting it up|Unpacking|Cleaning|Assembly] [took {n} minutes|was easy|was a nightmare|is simple][ and the \
          instructions are clear|, no instructions were included|].
        """,
                """
        [I wrote to|I contacted|Customer service of] {seller} [and got a replacement|never answered|was very helpful].
        [For the price|For {small}] [you cannot complain|I expected more|it is a bargain].
        [After {n} weeks|So far|I use it every day and] it [still works|has held up well|is already falling \
          apart|does what it should].
        [Compared to|Much better than|Not as good as] [my old one|the {coined} I had before|other brands].
        """,
                """
        [Would recommend|Highly recommend|I would buy it again|Do not buy|Save your money|Worth every \
          penny|{stars}][!|.]
        [Pros|Likes]: {pro}, {pro}. [Cons|Dislikes]: {con}.
        {nn} [people|customers] found this [review |]helpful.
        """,
            )
        ),
    ),
    untitled=0.4,
)

PLANS: dict[str, Plan] = {
    "survey form": SURVEY,
    "support ticket": TICKET,
    "product review": REVIEW,
}
