"""The shared lexicon of working life: what sentences talk about, as pools of templates by slot name."""

from __future__ import annotations

from .grammar import lines, phrases
from .lexicon_world import WORLD

# Slots of the lexicon that keep their text within one document.
KEPT = frozenset(
    {"wanted", "appliance", "software", "techissue", "sport", "dish", "clinic", "bankname", "legalmatter", "membership"}
)

_BUSINESS: dict[str, tuple[str, ...]] = {
    "department": phrases("""
    accounts; finance; human resources; marketing; sales; purchasing; logistics; production; IT; legal; research
    quality
    customer service; facilities; operations; engineering; maintenance; training; compliance; planning; warehouse
    payroll
    """),
    "jobtitle": phrases("""
    accountant; nurse; software developer; sales manager; warehouse clerk; teacher; electrician; project manager
    receptionist
    mechanical engineer; chef; truck driver; data analyst; graphic designer; pharmacist; buyer; translator; lawyer
    bookkeeper
    office administrator; security guard; marketing assistant; production planner; laboratory technician
    social worker; welder
    store manager; gardener; quality inspector; civil engineer; dental assistant; HR officer; web developer
    physiotherapist
    export coordinator; machine operator; research assistant; tax adviser; flight attendant; hairdresser; plumber
    journalist
    """),
    "wanted": lines("[senior |junior |lead |deputy |trainee |||]{jobtitle}"),
    "industry": phrases("""
    logistics; retail; health care; food processing; renewable energy; construction; tourism; banking; insurance
    education
    automotive; textiles; software; telecommunications; publishing; agriculture; aerospace; chemicals; packaging
    public administration
    hospitality; real estate; biotechnology; furniture making; electronics; mining; shipping; advertising
    """),
    "skill": phrases("""
    Excel; SAP; Python; SQL; accounting; negotiation; customer service; team leadership; project management
    public speaking
    AutoCAD; Photoshop; forklift operation; first aid; data analysis; budgeting; Java; copywriting; event planning
    welding; CRM
    inventory control; process improvement; teaching; bookkeeping; social media; Linux; risk assessment; sewing
    cooking; statistics
    report writing; purchasing; MS Office; quality assurance; recruitment; JavaScript; time management
    conflict resolution
    """),
    "degree": lines("""
    [Bachelor|Master|Diploma|B.Sc.|M.Sc.|B.A.|M.A.] [of|in] [business administration|economics|mechanical \
      engineering|computer science|biology|history|nursing|law|chemistry|design|accounting|education]
    [certificate|diploma|apprenticeship|vocational training] [in|as] [bookkeeping|electrician|logistics|hotel \
      management|carpentry|retail]
    [A-levels|secondary school certificate|high school diploma|Abitur|MBA|PhD in physics|teaching diploma]
    """),
    "university": lines("""
    University of {city}
    {city} [University|College|Technical University|School of Economics|Institute of Technology|Polytechnic]
    {last} [College|Institute|University]
    """),
    "achievement": lines("""
    [reduced|cut] [costs|delivery times|complaints|errors] by {pct}
    [managed|led|supervised] a team of {n} [people|employees|technicians]
    [introduced|developed|designed|implemented] [a new {skill} system|{project}|training courses in {skill}]
    [responsible for|in charge of] {duty}
    [increased|raised] [sales|turnover|customer satisfaction] by {pct}
    [handled|took care of] {duty} and {duty}
    """),
    "duty": lines("""
    [planning|organising|coordinating] [deliveries|events|production|staff training|maintenance work]
    [advising|serving|visiting|supporting] [customers|clients|patients|suppliers|students]
    [preparing|checking|filing|writing] [invoices|reports|offers|monthly accounts|contracts|budgets]
    [maintaining|repairing|testing|operating] [machines|vehicles|software|equipment|networks]
    [negotiating with|ordering goods from|auditing] suppliers
    [monitoring|managing] [stock levels|budgets|social media|quality|safety|projects]
    [leading|training|supervising] [a team of {n}|new staff|apprentices]
    [developing|improving] [{skill} processes|products|web applications|marketing campaigns]
    """),
    "benefit": lines("""
    [flexible|regular] working hours
    {nn} days of [holiday|annual leave]
    [a company car|a company pension|free parking|free coffee and fruit|private health insurance|a laptop]
    [further training|career opportunities|a secure job|a friendly team|a competitive salary|remote work|staff \
      discounts]
    """),
    "project": lines("""
    the [new|planned|ongoing] {projectnoun}
    {projectnoun} in {city}
    [the |]{projectnoun} [for|with] {company}
    [the |{year} |]{projectnoun}
    """),
    "projectnoun": phrases("""
    warehouse move; website relaunch; budget; payroll system; staff survey; summer party; office renovation
    sales training
    product launch; stock take; recruitment campaign; safety inspection; trade fair; customer portal; fleet renewal
    merger
    roof repair; playground project; annual report; data protection audit; energy saving plan; parking scheme
    fundraising drive
    supplier evaluation; packaging redesign; training programme; anniversary; pension plan; machine upgrade
    price revision
    school exchange; library extension; delivery service; quality certification; solar installation; bus connection
    canteen
    """),
    "report": lines("""
    [sales|quarterly|annual|progress|travel|audit|financial|inspection|treasurer's|stock] report
    [draft|signed|revised] [contract|agreement|offer|minutes|budget|schedule]
    [price list|order form|invoice copy|presentation|floor plan|questionnaire|brochure|application form|timetable]
    """),
    "issue": lines("""
    [late|delayed|incomplete] [deliveries|payments|shipments] [from {company}|]
    [rising|high] [energy|material|travel|staff|printing] costs
    [the lack of|too little|missing] [parking space|staff in {department}|training|storage room|funding]
    [the noise from|the leak in|access to] the [car park|kitchen|server room|workshop|roof]
    [data protection|fire safety|absence|overtime|waste separation|customer complaints|delays] [in {department}|]
    [changes to|the timetable for|the budget for] {project}
    """),
    "action": lines("""
    [postpone|approve|cancel|review|start|prepare|discuss|support] {project}
    [send|check|update|sign|forward|print|return|correct] the {report}
    [contact|call|invite|visit|pay|inform] [{person}|{company}|the supplier|the bank|{department}]
    [order|replace|return|buy|collect] [{n} |the ]{product}
    [raise|reduce|set|check] the [budget|price|membership fee|deposit|rent] [to {money}|by {pct}|]
    [book|reserve|prepare|clean] [{venue}|a room|the equipment]
    [find a solution for|look into|report on|deal with] {issue}
    [complete|fill in|hand in] [the online form|all timesheets|your holiday requests|expense claims]
    """),
    "progress": lines("""
    {project} is [on schedule|delayed by {n} weeks|nearly finished|within budget|more expensive than planned|on hold]
    [we|they] have [finished|started|completed|postponed] {project}
    {company} [has|have] [accepted our offer|cancelled the order|asked for a discount|not replied yet|moved to {city}]
    [the costs|expenses|membership numbers|visitor numbers] [have risen|have fallen|rose|fell] by {pct}
    [the {report} is|all documents are] [ready|still missing|being checked by {department}]
    {person} [will leave us in {month}|has joined {department}|is on leave until {later}|takes over from {person}]
    [there were problems with|we had to deal with] {issue}
    """),
    "progressq": lines("""
    [We|Our team] will [invest {big}|create jobs|open {n} branches] in {city}
    Demand for {product} is growing [fast|in every market]
    The {projectnoun} is [a big step|good news for {town}|only the beginning]
    """),
    "news": lines("""
    [the appointment of|the retirement of|a farewell party for] {person} [as {jobtitle}|]
    [new|changed|revised] [opening hours|parking rules|travel policy|holiday rules|security passes|working hours]
    [the closure|the move|the reorganisation] of [our {city} office|the {department} department|the canteen]
    [changes to|progress of|the start of|delays in] {project}
    [the fire drill|the company outing|the health check|the blood donation day] on {later}
    """),
    "subject": lines("""
    {project}
    [your|our] [application|order {orderid}|invitation|visit on {later}|membership|request|booking]
    {issue}
    [the post of|the vacancy for|an internship as] {jobtitle}
    [meeting|appointment|lunch|call] on {weekday}
    [the {report}|invoice {id}|purchase order {orderid}|holiday plans|question about {product}]
    """),
    "rule": lines("""
    [visitors|contractors|guests] must [sign in at reception|wear a badge|be accompanied]
    all [expense claims|holiday requests|purchase orders|sick notes] must be [submitted online|approved by \
      {department}|handed in by the {n}th]
    [smoking|parking|eating] is [only allowed|not permitted] [behind the building|in the yard|at desks|in marked areas]
    the [office|canteen|reception|gym|workshop] [opens|closes] at {time}
    [passwords|access codes|locker keys] [will be changed|must be renewed] every {n} weeks
    [overtime|home working|private use of company cars] [needs approval|is limited to {n} hours|must be recorded]
    """),
    "service": lines("""
    [maintenance|cleaning|consulting|transport|design|bookkeeping|security|catering|translation|training|software \
      development] services
    [the supply|the delivery|the distribution] of {product}
    [support for|implementation of|advice on] {project}
    """),
    "task": phrases("""
    installation; design; customer visit; bug fixing; documentation; meeting; testing; painting; night shift
    deliveries; filing
    assembly; training; inventory; programming; travel; research; cleaning; reception; site supervision; wiring; support
    """),
    "venue": lines("""
    [room|meeting room|conference room] {n}[{digit}|]
    [the town hall|the canteen|the {cadj} {cnoun} Hotel|the community centre|the library|online|the main hall|the \
      boardroom|{city} office]
    """),
    "recommendation": phrases(
        "recommendation; resignation; thanks; application; motivation; intent; reference; invitation; apology; "
        "condolence"
    ),
    "membership": phrases(
        "membership; subscription; insurance; savings account; gym contract; magazine subscription; season ticket"
    ),
    "goodtrait": phrases(
        "reliable and punctual; well liked by colleagues; an excellent organiser; honest and hard-working; "
        "creative; a great help"
    ),
    "fault": lines("""
    [the [poor|terrible|appalling] [quality|condition|service] of|the delay in delivering] [the|my] {product}
    [the behaviour of your staff|the rude treatment I received|the noise|the dirty room|the cancelled train] [at|in] \
      {city} on {earlier}
    [the wrong|a broken|a faulty|a damaged] {product} [I received|you sent me|I bought] on {earlier}
    [a bill that is far too high|an unjustified charge of {small}|a repair that did not last|the loss of my luggage]
    """),
    "audited": phrases("""
    cash handling; supplier payments; payroll; access rights; stock counts; expense claims; travel bookings
    purchase approvals
    fixed assets; data backups; calibration records; training records; revenue recognition; petty cash
    contract awards; inventory valuation
    """),
    "announces": lines("""
    [launches|introduces|presents|recalls] [its new|a new|the first] {product}
    [acquires|merges with|signs an agreement with|partners with] {third}
    [opens|will open|closes] [a|its] [new |]plant in {city}
    [appoints|names] {they} [as |][chief executive|finance director|head of {department}|chair]
    [invests|raises] {big} [in|for] {industry}
    [wins|receives] [an award for {skill}|a contract worth {big}]
    """),
    "launch": lines("""
    [the launch|the release|the recall] of [its new|the] {product}
    [a partnership|a joint venture|an agreement] with {third}
    [the opening|the expansion] of [its|a] [site|shop|factory|office] in {city}
    [record results|a donation of {big}|the appointment of {they}|its {nn}th anniversary]
    """),
    "creditreason": lines("""
    [goods|items] returned [on {earlier}|as agreed|damaged]
    [damaged|faulty|defective|missing|expired] {product}
    [overcharge|pricing error|wrong price] on invoice {orderid}
    [cancelled|cancellation of] order
    short delivery of {n} [units|pcs]
    [agreed|late] [discount|rebate|volume bonus] of {pct}
    duplicate [invoice|billing|charge]
    """),
    "debitreason": lines("""
    [undercharge|pricing error|price difference] on invoice {orderid}
    [goods|{n} units of {product}] returned to you [as faulty|damaged|]
    short delivery of {n} [units|pcs] of {product}
    [freight|handling|storage|re-inspection] [costs|charges] not [invoiced|included]
    [late delivery penalty|bank charges|customs duty paid on your behalf]
    """),
    "bankname": lines(
        "[Bank of {city}|{coined} Bank|{city} Savings Bank|{last} & {last} Bank|{coined} Credit Union|First "
        "{cnoun} Bank]"
    ),
    "clinic": lines("""
    [{city} [General|University|Children's|District] Hospital|St {first}'s [Hospital|Clinic]|{last} Medical \
      [Centre|Practice]]
    Dr {person}, [general practice|cardiology|dermatology|orthopaedics]
    """),
    "legalmatter": lines("""
    [the estate of {person}|the property at {address}|the dissolution of {third}|custody of the children]
    [unpaid rent for {address}|goods delivered on {earlier}|a road accident on {earlier}|the trade mark \
      "{coined}"|the contract of {earlier}]
    """),
    "peril": phrases("""
    fire; theft; burglary; storm; hail; water damage; a burst pipe; flood; lightning; vandalism; collision
    a falling tree; ice; smoke
    an electrical fault; a rear-end collision; accidental breakage; illness; explosion; earthquake
    """),
    "misuse": phrases(
        "cosmetic damage; damage by pets; power surges; commercial use; consumables; water ingress; overloading"
    ),
    "asked": phrases(
        "service; website; staff; opening hours; food; delivery; range of products; course; cleanliness; prices; "
        "app; waiting time; event; training; doctor; room"
    ),
}

LEXICON: dict[str, tuple[str, ...]] = {**WORLD, **_BUSINESS}
