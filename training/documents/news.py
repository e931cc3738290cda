"""News articles: stories of several sorts, told from what happened to what comes next."""

from __future__ import annotations

from .blocks import either, line, maybe, tell
from .plan import Plan

_NEWS_STORIES = (
    tell(
        (
            """
    {town} - [A fire|A storm|Flooding|An explosion|Heavy snow|A power failure] [destroyed|damaged|hit|disrupted] \
      {place} [on {weekday}|late on {weekday}|overnight], [authorities|police|officials] said.
    At least {n} people [were injured|were killed|lost their homes] [when|after] [a bus overturned|a building \
      collapsed|a fire broke out] [near|in] {town} on {weekday}.
    """,
            """
    {n} people were [taken to hospital|treated for shock|still missing on {weekday}], [among them two children|most \
      with minor injuries|according to the hospital].
    [Trains|Flights|Bus services] [to|from] {city} were [cancelled|delayed|diverted] [for several hours|until \
      {weekday}].
    [Firefighters|Rescue teams|Police] [worked through the night|were called at {time}|evacuated {nnn} residents].
    [Witnesses|Residents] [said they heard|described] [a loud bang|scenes of panic|thick smoke].
    """,
            """
    "[We were lucky|It was terrible|I have never seen anything like it]," [said|told reporters] {person}, [a local \
      resident|{nn}, who lives nearby|a shop owner].
    [The cause|What caused it] [is still being investigated|is not yet known], [a police spokesman said|said mayor \
      {person}].
    """,
            """
    [Damage|Losses] [is|are] [estimated|put] at {big}.
    [Neighbours|Volunteers|Shopkeepers] [brought blankets|helped to clear the streets|offered rooms to those affected].
    It was the [second|third|worst] [accident|incident|disaster] of its kind [in the region |]since {someyear}.
    [Schools|Roads|The airport|Train lines] [remained closed|reopened] on {weekday}.
    """,
        )
    ),
    tell(
        (
            """
    [The government|Parliament|The president|The prime minister|The opposition|The city council] [of {land} |][on \
      {weekday} |][approved|rejected|announced|criticised|debated] [plans for|a law on|a tax on|new rules for] \
      {politics}.
    [Thousands|Hundreds] of [people|workers|students] [protested|marched] in {town} on {weekday} [against|for] \
      {politics}.
    {town} - Voters [go to the polls|will elect a new parliament] on {weekday} [after a campaign dominated by|with] \
      {politics} [at the centre|as the main issue|].
    """,
            """
    [Minister|Senator|Opposition leader|Mayor] {person} [said|told parliament|told reporters] [the plan|the measure] \
      [would|could] [cost {big}|help families|hurt small businesses|create jobs].
    [Critics|Supporters|Trade unions|Economists] [say|argue|warn] that {politics} [comes too late|will not be \
      enough|deserves support|needs more money].
    """,
            """
    [The dispute|The debate] [began|started] in {month}, when [a report|an inquiry|a court] [criticised|called for] \
      {politics}.
    [Similar plans|An earlier bill] [failed|were dropped] in {someyear} [after protests|for lack of money|].
    [A vote|A final decision] is [expected|due] [in {month}|next week].
    [Polls|Surveys] [show|suggest] that {nn} percent of [voters|citizens] [back|oppose] [the proposal|{politics}].
    """,
        )
    ),
    tell(
        (
            """
    {club} [beat|defeated|drew with|lost to|edged] {club} {digit}-{digit} [on {weekday}|in the {sport} final|in \
      {town}] [to reach the final|after a dramatic second half|to go top of the league|].
    {person} [won|took|claimed] [gold|the title|her third title|the race] [in {sport}|at the {town} open] on {weekday}.
    """,
            """
    [Coach|Manager|Captain] {person} [praised|was critical of] [the team|his players|the referee]: "[We gave \
      everything|We were too slow|The fans carried us]."
    {person} scored [twice|the winner|from a free kick] [and was later sent off|before leaving the field injured|].
    It was [their|the club's] [first|fifth] [win|defeat] in {n} [games|matches|away games].
    [The visitors|The hosts] [took the lead|equalised|missed a penalty] [in the {nn}th minute|before half-time].
    """,
            """
    [The next match|Their next game] is [away |]against {club} on {weekday}.
    A crowd of {nnnn} [watched|saw] the [match|race] [in heavy rain|].
    """,
        )
    ),
    tell(
        (
            """
    [Shares|Stock] in {seller} [fell|rose|jumped|slid] {pct} [on {weekday}|in early trading] after [the company|it] \
      [reported|warned of] [lower|higher|record] [profits|sales].
    {seller} [plans|is planning|said it would] to [cut {nnnn} jobs|close its plant in {city}|buy rival {third}|open \
      {n} shops], [sources said|the newspaper learned|according to union officials].
    [Inflation|Unemployment|House prices|Oil prices] in {land} [rose|fell|climbed|dropped] to {pct} in {month}, \
      [official figures showed|the statistics office said] on {weekday}.
    """,
            """
    [Analysts|Economists] had [expected|forecast] [less|more|a rise of {pct}].
    [Unions|Analysts|Rivals] [reacted with anger|were surprised|called it a warning sign].
    """,
            """
    [Last year|In {month}], {third} [had announced|announced] [a similar move|heavy losses|the sale of its \
      {industry} business].
    "[The market is difficult|Customers are holding back|Costs are too high]," [said|told the newspaper] {person}, \
      [an analyst at {company}|who heads the firm|head of {department}].
    The [central bank|government|company] [declined to comment|is expected to act in {month}].
    [Revenue|Turnover|Demand] [in the quarter|last year] [was|reached] {big}.
    """,
        )
    ),
    tell(
        (
            """
    [Scientists|Researchers|Archaeologists|A team] [at {university} |][discovered|found|developed] [a new species \
      near {city}|a way to {sciaim}|traces of an ancient settlement near {city}], [a study published on {weekday} \
      says|they reported this week].
    [A museum|A festival|An exhibition|A film|A new library] [about {hobby} |]opened in {town} on {weekday} [with \
      {nnn} guests|after {n} years of building|].
    """,
            """
    "[It is a surprise|This was unexpected|We are delighted]," said {person}, [who led the work|the director|a visitor].
    [The find|The project|The show] [cost {big}|took {n} years|attracted {nnnn} visitors].
    """,
            """
    [Work|Research|Planning] [began|started] in {someyear} [with money from|with the help of] [the city|{company}|a \
      private donor].
    [The next step|A second phase|A book on the subject] is planned for {month}.
    [Experts not involved in the study|Local politicians|Neighbours] [urged caution|welcomed the news|were less \
      enthusiastic].
    """,
        )
    ),
    tell(
        (
            """
    A [court|judge|jury] in {town} [on {weekday} |][sentenced|jailed|fined|acquitted] [a {nn}-year-old man|a former \
      {jobtitle}|{person}] [for|over|of] [fraud|theft|dangerous driving|bribery|arson].
    Police [in {town} |][arrested|are looking for|questioned] {n} people [after|over] [a robbery at|a burglary \
      in|threats against] {place} [on {weekday}|].
    """,
            """
    [The court heard|Prosecutors said|Detectives believe] [the accused|the suspects] [had stolen {big}|acted out of \
      greed|had planned it for months].
    [Defence lawyer|Prosecutor|Inspector] {person} said [the verdict was fair|an appeal was likely|the case was \
      unusual|more arrests may follow].
    The [victim|shop owner|cashier], {person}, [was unhurt|is still in hospital|told the court of her fear].
    """,
            """
    [The trial|The case|The investigation] [continues|is expected to last until {month}|began in {month}].
    [Anyone with information|Witnesses] should call {phone}.
    """,
        )
    ),
    tell(
        (
            """
    [Forecasters|The weather service|Meteorologists] [expect|warn of|predict] [heavy rain|a heatwave|strong \
      winds|frost|record temperatures] [in {land}|around {town}|in the north] [from {weekday}|this week].
    [Hospitals|Schools|Farmers|Teachers|Nurses|Bus drivers] in {land} [face|complain about|are struggling with] [a \
      shortage of staff|rising costs|a wave of illness|the drought|new rules].
    """,
            """
    [Temperatures|Prices|Numbers] [could|may|will] [reach|rise to] {nn} [degrees|percent] [by {weekday}|].
    "[We have to prepare|This cannot go on|Everyone must help]," [said|warned] {person} of [the health \
      ministry|{university}|the local farmers' union].
    [The authorities|Officials] [advised|urged] people to [stay indoors|save water|avoid travel|get vaccinated].
    """,
            """
    [In {someyear}|Last {month}], [a similar situation|the same problem] [cost {big}|led to {n} deaths|lasted {n} \
      weeks].
    [Relief|A solution|Help from {country}] is [not in sight|expected in {month}|on its way].
    """,
        )
    ),
)

NEWS = Plan(
    "{headline}|{headline}|{headline}|{headline}\n[by {person}|by our correspondent|{town}, {date}]|[breaking "
    "news|local news|sports news|world news]: {headline}",
    (),
    (
        either(*_NEWS_STORIES),
        maybe(0.12, either(*_NEWS_STORIES)),
        maybe(
            0.12,
            line(
                "[Reporting by|Additional reporting by|By] {person}[; editing by {person}|]",
                "(c) {coined} [Times|Post|Herald|News Agency]",
            ),
        ),
    ),
    untitled=0.25,
    ordered=True,
)

PLANS: dict[str, Plan] = {
    "news article": NEWS,
}
