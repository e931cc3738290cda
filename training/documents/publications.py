"""Texts for readers: press releases, abstracts, news, reviews, recipes and manuals."""

from __future__ import annotations

from .blocks import both, either, fields, form, line, listing, maybe, say, tell, under
from .plan import Plan, kind

PRESS = kind("press release", "publication", """
media release|news release|press statement|company announcement to the media
""", """
a company announces something new to journalists
official announcement for the media with a quote and contact
statement for immediate publication about a launch, deal or event
news written by an organisation about itself
""", Plan(
    "[press|media|news] release[||: {seller} {announces}]|for immediate release|press statement|{seller} {announces}",
    (),
    (
        maybe(0.6, line("For immediate release", "FOR IMMEDIATE RELEASE", "Embargoed until {later}", "For release {date}", "Press contact: {they}, {phone}")),
        tell(("""
        {town}, {date} - {seller}, a [leading|fast-growing|family-owned|privately held] [company|provider|specialist] in {industry}, [today announced|has announced|announces|announced today] [that it {announces}|{launch}].
        [{town} - |]{seller} [today |]{announces}[, the company announced on {date}|].
        {seller} is [pleased|proud|delighted|excited] to announce {launch}.
        """, """
        "[We are thrilled|This is a milestone for us|We are proud of this step|Our customers have waited for this]," [said|says] {they}, [CEO|chief executive|managing director|founder] of {seller}. ["It will change {industry}."|"{progressq}."|]
        "[With this step|Together with {third}], we [strengthen our position in {industry}|bring {product} to {country}|create {nnn} new jobs]," said {they}.
        """, """
        The [new |]{product} [will be available|goes on sale|ships] [from {later}|in {month}|in {n} countries] [at a price of {money}|].
        [The agreement|The transaction|The investment] is [worth|valued at] {big} and [is expected to close in {month}|subject to approval].
        [The event|The new site|The programme] [takes place|opens] [in {city}|at {venue}] on {later}.
        """, """
        About {seller}: [Founded|Established] in {someyear}, {seller} [employs {nnn} people|serves customers in {n} countries|is based in {town}][ and is active in {industry}|].
        {seller} is [a leading|one of the largest] [provider|supplier|manufacturer]s [in|of] {industry}[ with {nnn} employees|].
        """, """
        [Media contact|Press contact|Contact for journalists|For more information]: {person}, {phone}, {mail}
        ### [Notes to editors: photos are available at {web}.|]
        """), "\n"),
    ),
    ordered=True,
))  # fmt: skip

ABSTRACT = kind("scientific abstract", "publication", """
research abstract|paper summary|abstract of a study|academic abstract|journal article summary
""", """
summarises a study: question, methods, results and conclusion
short overview of research findings for scholars
presents an experiment or model and what was found
the opening summary of an academic paper
""", Plan(
    "abstract|{papertitle}|{papertitle}|{papertitle}\nabstract|{papertitle}\n{person}, {person} and {person}, {university}",
    (),
    (
        tell(("""
        [Background: |Introduction: |]{sciobject} [plays a key role in|is central to|is poorly understood in|has attracted attention in] {field}[, yet its effect on {sciobject} remains unclear|].
        [We study|We investigate|This paper examines|This study investigates|In this work we analyse] [the [effect|influence|role] of {sciobject} on {sciobject}|{sciobject} in {field}].
        [The aim of this study was|Objective:] to [assess|determine|compare|quantify] {sciobject} [using|by means of] {method}.
        [Recent advances in|Despite decades of work on] {field} [raise|have raised] [the question|new questions] [of|about] {sciobject}.
        """, """
        [Methods: |]We [used|applied|combined|developed] {method} [and {method} |][to measure|to estimate|on data from] [{nnnn} [samples|patients|participants|sites]|{sciobject}].
        [We propose|We present|We introduce] [a new|a simple|an improved|a Bayesian] [model|method|algorithm|framework] [for|of] {sciobject}[, based on {method}|].
        [A total of |]{nnn} [subjects|samples|specimens|households|galaxies] were [examined|surveyed|analysed] with {method}.
        """, """
        [Results: |]{finding}.
        [Our results|The results|Experiments|Simulations] [show|indicate|suggest|demonstrate] that {finding}.
        We found that {finding} (p < 0.0{digit}[, n = {nnn}|]).
        """, """
        [Moreover|In addition|Surprisingly|By contrast], {finding}.
        [Compared with|Relative to] {method}, our [approach|method] [reduces the error|improves accuracy] by {pct}.
        """, """
        [Conclusions: |]These [findings|results] [imply|support the view|suggest] that {sciobject} [should be considered in|is relevant for|may explain] {field}.
        [We conclude|We discuss implications|Further research is needed] [for {field}|on {sciobject}].
        """)),
        maybe(0.35, line("[Keywords|Key words|Index terms]: {sciobject}, {sciobject}, {method}, {field}", "doi: 10.{nnnn}/{id}")),
    ),
    untitled=0.15,
    ordered=True,
))  # fmt: skip

_NEWS_STORIES = (
    tell(("""
    {town} - [A fire|A storm|Flooding|An explosion|Heavy snow|A power failure] [destroyed|damaged|hit|disrupted] {place} [on {weekday}|late on {weekday}|overnight], [authorities|police|officials] said.
    At least {n} people [were injured|were killed|lost their homes] [when|after] [a bus overturned|a building collapsed|a fire broke out] [near|in] {town} on {weekday}.
    """, """
    [Firefighters|Rescue teams|Police] [worked through the night|were called at {time}|evacuated {nnn} residents].
    [Witnesses|Residents] [said they heard|described] [a loud bang|scenes of panic|thick smoke].
    """, """
    "[We were lucky|It was terrible|I have never seen anything like it]," [said|told reporters] {person}, [a local resident|{nn}, who lives nearby|a shop owner].
    [The cause|What caused it] [is still being investigated|is not yet known], [a police spokesman said|said mayor {person}].
    """, """
    [Damage|Losses] [is|are] [estimated|put] at {big}.
    [Schools|Roads|The airport|Train lines] [remained closed|reopened] on {weekday}.
    """)),
    tell(("""
    [The government|Parliament|The president|The prime minister|The opposition|The city council] [of {land} |][on {weekday} |][approved|rejected|announced|criticised|debated] [plans for|a law on|a tax on|new rules for] {politics}.
    [Thousands|Hundreds] of [people|workers|students] [protested|marched] in {town} on {weekday} [against|for] {politics}.
    {town} - Voters [go to the polls|will elect a new parliament] on {weekday} [after a campaign dominated by|with] {politics} [at the centre|as the main issue|].
    """, """
    [Minister|Senator|Opposition leader|Mayor] {person} [said|told parliament|told reporters] [the plan|the measure] [would|could] [cost {big}|help families|hurt small businesses|create jobs].
    [Critics|Supporters|Trade unions|Economists] [say|argue|warn] that {politics} [comes too late|will not be enough|deserves support|needs more money].
    """, """
    [A vote|A final decision] is [expected|due] [in {month}|next week].
    [Polls|Surveys] [show|suggest] that {nn} percent of [voters|citizens] [back|oppose] [the proposal|{politics}].
    """)),
    tell(("""
    {club} [beat|defeated|drew with|lost to|edged] {club} {digit}-{digit} [on {weekday}|in the {sport} final|in {town}] [to reach the final|after a dramatic second half|to go top of the league|].
    {person} [won|took|claimed] [gold|the title|her third title|the race] [in {sport}|at the {town} open] on {weekday}.
    """, """
    [Coach|Manager|Captain] {person} [praised|was critical of] [the team|his players|the referee]: "[We gave everything|We were too slow|The fans carried us]."
    [The visitors|The hosts] [took the lead|equalised|missed a penalty] [in the {nn}th minute|before half-time].
    """, """
    [The next match|Their next game] is [away |]against {club} on {weekday}.
    A crowd of {nnnn} [watched|saw] the [match|race] [in heavy rain|].
    """)),
    tell(("""
    [Shares|Stock] in {seller} [fell|rose|jumped|slid] {pct} [on {weekday}|in early trading] after [the company|it] [reported|warned of] [lower|higher|record] [profits|sales].
    {seller} [plans|is planning|said it would] to [cut {nnnn} jobs|close its plant in {city}|buy rival {third}|open {n} shops], [sources said|the newspaper learned|according to union officials].
    [Inflation|Unemployment|House prices|Oil prices] in {land} [rose|fell|climbed|dropped] to {pct} in {month}, [official figures showed|the statistics office said] on {weekday}.
    """, """
    [Analysts|Economists] had [expected|forecast] [less|more|a rise of {pct}].
    [Unions|Analysts|Rivals] [reacted with anger|were surprised|called it a warning sign].
    """, """
    The [central bank|government|company] [declined to comment|is expected to act in {month}].
    [Revenue|Turnover|Demand] [in the quarter|last year] [was|reached] {big}.
    """)),
    tell(("""
    [Scientists|Researchers|Archaeologists|A team] [at {university} |][have|has] [discovered|found|developed] [a new species near {city}|a way to {sciaim}|traces of an ancient settlement near {city}], [a study published on {weekday} says|they reported this week].
    [A museum|A festival|An exhibition|A film|A new library] [about {hobby} |]opened in {town} on {weekday} [with {nnn} guests|after {n} years of building|].
    """, """
    "[It is a surprise|This was unexpected|We are delighted]," said {person}, [who led the work|the director|a visitor].
    [The find|The project|The show] [cost {big}|took {n} years|attracted {nnnn} visitors].
    """, """
    [Experts not involved in the study|Local politicians|Neighbours] [urged caution|welcomed the news|were less enthusiastic].
    """)),
)
NEWS = kind("news article", "publication", """
newspaper article|news story|press report|journalist's report|news item
""", """
a journalist reports an event of public interest
tells readers what happened, where and who said what
story from a newspaper or news site
report on politics, sport, business, accidents or culture
""", Plan(
    "{headline}|{headline}|{headline}|{headline}\n[by {person}|by our correspondent|{town}, {date}]|[breaking news|local news|sports news|world news]: {headline}",
    (),
    (either(*_NEWS_STORIES), maybe(0.12, line("[Reporting by|Additional reporting by|By] {person}[; editing by {person}|]", "(c) {coined} [Times|Post|Herald|News Agency]"))),
    untitled=0.25,
    ordered=True,
))  # fmt: skip

REVIEW = kind("product review", "feedback", """
customer review|user review|buyer's opinion of a product|product rating and comment
""", """
a buyer tells others how good or bad an item is
opinion on a product with stars, pros and cons
experience with something bought, recommending it or not
rating by a customer on a shop's website
""", Plan(
    "[{stars} - |][great|terrible|good|disappointing|decent|excellent|not worth the money|love it|five stars|would not buy again][|| {product}][!|.|]|review[: {goods}| of the {goods}|]|customer review",
    (maybe(0.5, form(fields("""
        rating|stars|score = {stars}
        reviewed by|reviewer|by = {first} {last}
        verified purchase|reviewed on|review date = [yes|{date}]
        pros|likes = {pro}, {pro}
        cons|dislikes = {con}
        product|item = {goods}
        """), (), 2, 5)),),
    (
        tell(("""
        [I bought|I purchased|Got|We ordered] this {goods} [{n} weeks ago|last {month}|for my [son|wife|mother|office|new flat]|as a gift|to replace an old one] and [I love it|it is {pro}|I am very pleased|I regret it|it broke after {n} days].
        [Great|Excellent|Good|Poor|Terrible|Disappointing] [product|quality|value]. [{pro}, {pro}.|The {goods} is {con}.|]
        [Really|So] [happy|disappointed] with this {goods}[!|.]
        """, """
        [The quality|The material|The design|The colour|The size] is [{pro}|{con}|as described|better than expected].
        It [is|feels|seems] {pro}, [but|although] [it is {con}|a little {con}|the price is high].
        [Delivery|Shipping] was [fast|slow|quick] [and the packaging was fine|but the box was damaged|].
        """, """
        [After {n} weeks|So far|I use it every day and] it [still works|has held up well|is already falling apart|does what it should].
        [Compared to|Much better than|Not as good as] [my old one|the {coined} I had before|other brands].
        """, """
        [Would recommend|Highly recommend|I would buy it again|Do not buy|Save your money|Worth every penny|{stars}][!|.]
        [Pros|Likes]: {pro}, {pro}. [Cons|Dislikes]: {con}.
        {nn} [people|customers] found this [review |]helpful.
        """)),
    ),
    untitled=0.4,
))  # fmt: skip

RECIPE = kind("recipe", "instructions", """
cooking recipe|baking recipe|cooking instructions|dish preparation
""", """
tells how to cook a dish with ingredients and steps
ingredients, quantities, oven temperature and method
instructions for preparing food
how to make a meal, cake or drink at home
""", Plan(
    "{dish}|{dish}|{dish}|recipe[: {dish}| for {dish}]|[grandma's|easy|quick|classic|my favourite] {dish}",
    (maybe(0.5, form(fields("""
        serves|servings|portions|makes = {n}[ people| persons|]
        cooking time|prep time|preparation|total time = {nn} minutes
        oven|oven temperature = {celsius}
        difficulty|level = [easy|medium|advanced]
        calories|kcal per serving = {nnn}
        """), (), 1, 4)), maybe(0.2, say("[A {tasty} dish for {weekday} evenings.|My mother made this every {weekday}.|Perfect for a party of {n}.]", 1, 1))),
    (
        under("[ingredients|you need|what you need|for the dough|]", listing("{measure} {ingredient}\n{measure} {ingredient}, {prep}\n{n} {ingredient}\n[salt and pepper|a pinch of salt|{ingredient} to taste]", 3, 9, 0.92, True), 0.85),
        under("[method|directions|instructions|preparation|how to make it|]", listing("""
        [Preheat|Heat] the oven to {celsius}.
        [Chop|Slice|Dice|Peel|Grate|Wash] the {ingredient}[ and the {ingredient}|].
        [Mix|Combine|Whisk|Beat|Stir] the {ingredient} with the {ingredient}[ until smooth| in a large bowl|].
        [Heat|Melt] the [butter|oil] in a [pan|large pot] and [fry|sauté|brown] the {ingredient} for {n} minutes.
        Add the {ingredient}[, {ingredient}|] and [simmer|cook|stir] for {nn} minutes[ over low heat|].
        [Bake|Roast] for {nn} minutes[ until golden|].
        [Season|Season to taste] with {ingredient}[, salt and pepper|].
        [Pour|Spread|Put] the [mixture|dough|batter] into a [greased tin|baking dish|bowl] [and leave to rest for {nn} minutes|].
        [Serve|Serve hot|Serve cold] with {ingredient}[ and {ingredient}|].
        [Leave|Let it] [to cool|cool] [for {nn} minutes|overnight|before serving].
        [Bring to the boil|Boil] [the {ingredient}|{n} cups of water] [and drain|].
        """, 3, 8), 0.85),
    ),
    untitled=0.1,
))  # fmt: skip

MANUAL = kind("user manual", "instructions", """
operating instructions|instruction manual|user guide|assembly instructions|how-to guide
""", """
explains how to install, use and care for a device
safety notes, set-up steps and troubleshooting of an appliance
step by step guide for operating a product or software
instructions that come with a machine
""", Plan(
    "[user manual|user guide|operating instructions|instruction manual|quick start guide|assembly instructions|owner's manual|installation guide][|| {appliance}|: {appliance} {code}]|{appliance} {code} [manual|user guide]|how to [install|set up|use] your {appliance}",
    (maybe(0.4, form(fields("""
        model|model no.|type = {code}
        power supply|voltage|rated power = [220-240 V|12 V|{nnnn} W]
        dimensions|weight = {nn} x {nn} x {nn} cm|{weight}
        operating temperature|capacity = {n} - {nn} °C
        """), (), 2, 4)),),
    (
        maybe(0.5, under("[safety|safety instructions|warning|important|caution]", say("""
        [Read|Please read] [this manual|these instructions] [carefully |]before [use|first use|operating the {appliance}][ and keep them|].
        [Do not|Never] [immerse the {appliance} in water|open the housing|use the {appliance} near water|cover the vents|touch hot parts].
        [Keep|Keep the {appliance}] out of [the |]reach of children.
        [Unplug|Disconnect] [the {appliance}|the power supply] before cleaning.
        Risk of [electric shock|fire|injury]: [use only original {part}s|do not use a damaged {part}].
        """, 1, 3), 0.9)),
        under("[installation|getting started|set-up|operation|using your {appliance}|assembly|]", listing("""
        [Remove|Take] the {appliance} [from|out of] [the box|its packaging] and [check the contents|remove all tape].
        [Insert|Attach|Connect|Fit|Fasten] the {part} [to|into] the {part}[ until it clicks| using screws {code}|].
        [Press|Hold|Press and hold] the {part} [button |]for {n} seconds[ until the light turns green|].
        [Turn|Set|Switch] the {part} to [position {digit}|"on"|the required level|maximum].
        [Plug|Connect] the [cable|power cord] into [the {part}|a wall socket].
        [Select|Choose] [the language|"settings"|mode {digit}] [on the display|from the menu] [and confirm with OK|].
        [Wait|Let the {appliance} run] [for |]{n} minutes [before use|].
        [Fill|Empty|Clean] the {part} [up to the mark|after each use|with a soft cloth].
        [Make sure|Check] that the {part} is [closed|firmly seated|clean|switched off].
        [Download the app and|Open the app,] pair the {appliance} [via Bluetooth|with your network].
        """, 3, 8), 0.75),
        maybe(0.5, under("[troubleshooting|cleaning and care|maintenance|problems and solutions]", listing("""
        [The {appliance} does not start|No power|{part} does not turn]: [check the cable|replace the fuse|charge the battery|contact service].
        [The light flashes red|Error E{digit}]: [{part} blocked, remove and clean|reset the {appliance}|let it cool for {nn} minutes].
        Clean the {part} [weekly|once a month] with [a damp cloth|warm water|a soft brush]; do not use [solvents|abrasives].
        [Replace|Change] the {part} [every {n} months|when worn].
        """, 1, 3, 1.0), 0.9)),
        maybe(0.15, both(line("[Service|Customer service|Hotline]: {phone}, {web}"))),
    ),
))  # fmt: skip

KINDS = (PRESS, ABSTRACT, NEWS, REVIEW, RECIPE, MANUAL)
