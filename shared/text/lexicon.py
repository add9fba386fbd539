"""Words that are looked for when a text may be written in disguise.

They accuse nobody: a text that holds them is only read once more.
"""

from __future__ import annotations

WORDS = frozenset(
    """
    access according admin administrator answer anything assistant behave believe bypass change character command
    commands complete completely confidential configuration content context conversation credentials developer
    directives disable disclose disregard display document documents earlier email enabled everything execute
    explain filter filters following forget freedom function guidelines hidden ignore ignoring information initial
    instead instruction instructions internal jailbreak language limitations message messages model override
    password passwords please pretend previous previously print prompt prompts provide provided repeat reply respond
    response restricted restrictions return reveal rules safety secret secrets security send should show system tell
    text these translate unrestricted update user verbatim without words write your
    """.split()
)
"""Those that orders to a model are made of: by them, scrambled, turned or shifted text is told."""

PARTICLES = frozenset(
    """
    about above act after again all also an and any are as at be because been before being below but by can could
    dan did do does done down each else even every few first for from game get give given go had has have he her
    here him his how if in into is it its just key last let like made make me mode more most must my need never new
    no nor not now of off on once one only or other our out over own past play role said same say see set she so
    some stop story such take than that the their them then there they thing things this those through to too under
    until up us use using very want was way we were what when where which while who why will with word would yes you
    """.split()
)
"""Short words that stand between them."""

FOREIGN = frozenset(
    """
    acima actua agora ahora alle alles ancienne anciennes anderen anordnung anordnungen anterior anteriores anweisung
    anweisungen attivo aufgabe aufgaben aufforderung befehl befehle befolge beschrankungen bisherige bisherigen
    bitte budunku butun cache cachees censura central centrale cidessus comandi comando comandos commande commandes
    configuracion consigne consignes consignes contourne contourner cuales deaktiviere deine deinen deiner desativa
    desormais devoile dikkate dimentica dimmi directiva directivas directive directives directrices diretrizes
    divulga divulgue diversi eerdere einschrankungen enthulle entrainement esqueca estas estandar ethische ethischen
    etica eticas ethiques ethique filtre filtres filtri filtro filtros fondamentale fundamental geef gegebenen geheime
    geheimen goster hauptanweisung ignora ignorar ignore ignoren ignorer ignorez ignoriere ignorieren ignoruj immer
    indicacion indicaciones indicazioni iniciais iniciales iniziali instructies instrucciones instruccion instrucoes
    instrukcja instrukcje instruktionen interna internas internes invite istruzione istruzioni jetzt keine kisitlamalari
    komutlari konfiguration kurallari lautet lauten limitaciones limitacoes limites maintenant mensagem mensaje
    missachte montre montrez mostra mostrami mostrar mostre muestra muestrame nascoste negeer nenne normas normes
    nouvelle nouvelles nuevas obigen oculta ocultas offenbare ograniczenia olvida olvidar omzeil onceki onthul
    opdrachten originales originaux oublie oubliez outrepasse parole pokaz polecenia poprzednie precedente precedenti
    precedentes previas principale principales programmation programmierung protocolos quelles quello quaisquer
    reagiere regeln reglas regles regole regolas regras repete repite repond reponds responde restricciones restrictions
    restricoes restrizioni revela revele reveler revelar richtlijnen richtlinien rispondi rivela rivelare rivelami
    schreibe schreiben secretas secretes segrete senza siguientes sistema sistem sopra sortie standardeinstellungen
    supera swoje syspromptu systeemprompt systeme systemprompt talimatlari toda todas tudo tutte tutto umgehe
    unut ursprungliche ursprunglichen vergeet vergessen vergiss verrate versteckte versteckten voltre vorherige
    vorherigen vorige vorigen weisungen wiederhole wszystkie wytyczne yonergeleri zapomnij zasady zeige zeigen
    zignoruj abaikan aiemmat anterioare anteriors anvisningar anvisninger atas dosavadni edelliset
    eddigi elozo felejtsd figyelmen foregaende forrige glem glom hagyd huong indicatiile ignorer ignorera ignoruj
    instruccions instructiunile instruksi instruksjoner instrukser instruktioner instruktionerna korabbi kivul lenh
    lupakan
    navodila oblida ohita ohjeet ovenstaende ovanstaende perintah pokyny pozabi predchadzajuce predchozi
    prejsnje prethodne previes pravidla quen regler regulile saannot sebelumnya semua szabalyokat tidigare
    tidligere toate totes truoc uita ukaze unohda upute utasitast vsechny vsetky zabudni zanemari zapomen
    """.split()
)
"""Such words of the other languages in Latin letters that the rules know, folded."""

SHELL = frozenset({"bash", "curl", "exec", "passwd", "rm", "sudo", "wget", "whoami"})
"""And those of orders to a shell."""

PERSONA = frozenset(
    """
    dan ethical ethics evil grandma immoral inst jailbroken legality limits moral morality morals obey refuse sys
    uncensored unethical unfiltered
    """.split()
)
"""Those of orders to be somebody else, and of chat templates."""

ORDERS = WORDS | FOREIGN | SHELL | PERSONA

OTHER_SCRIPTS = frozenset(
    """
    абудь гнорируй граничени нструкци омпт равила истемн
    忽略 无视 指令 指示 提示 限制 規則 無視 プロンプト システム
    нструкці опередні казівки निर्देश आदेश دستور ההוראות ההנחיות ทั้งหมด ก่อนหน้า
    ροηγουμενες ροηγούμενες δηγιες ντολες
    무시 지시 지침 프롬프트 시스템 التعليمات تعليمات تجاهل القواعد النظام
    """.split()
)
"""And those of scripts that are no Latin, without a first letter that may be a capital."""

VOCABULARY = (
    WORDS
    | PARTICLES
    | frozenset(
        """
        abandon abide ability able about above absolutely acceptable accepted access according accordingly account
        acknowledge across act acting action actions activate activated active actual actually add added additional
        address adhere admin administrator advise aforementioned after again against age agent agents ago agreed ai air
        alert alignment all allow allowed already also alter alternate alternative always amount an analysis and angel
        another answer answering answers anthropic any anything anyway api appear appears append applications apply
        approach appropriate approval approved are area argument arguments around art artificial as ascii ask asked
        assigned assignment assignments assist assistant assistants assume at attach attention audit authority
        authorization authorized automated available avoid away back backwards bad base based bash basic be because
        become been before begin beginning begins behave behavior behavioral behind being believe below best better
        between beyond big binary blank block blue body bomb book bot both bots bound boundaries break breaking broken
        browse build building built business but buy by bypass bypassing call called calls calm came can cancel cannot
        cant capabilities car card cards care carry case cast cease censorship central certain certainly change changed
        chaos char character characters chars chat chatbot chatgpt check checks choose cipher circumvent claim clarify
        class classify claude clear client clients clone close cloud code codes collect combine come comes command
        commands commit common communication company compare complete completed completely completing complex compliance
        comply compose concealed concern concerns conclude conditions conduct confidential config configuration
        configurations configured confines confirm confirmation confirmed connection consent consequences considerations
        constraint constraints contain containing contains content contents context continue control controls
        controversial conventions conversation conversations convert cookies copy core corp correct corrected correctly
        cost costs could count course create creating creator creators credentials credit curl current currently custom
        customer customers cut dan dangerous data database date day days dead dear debug debugging decline decode
        decoded deep default defaults define delete deleted deliver delta demand demands deny department describe design
        designed desires detail details determine dev developer developers development deviate diagnostic dialogue diary
        did different digit digits dimension directed direction directions directive directives directly disable
        disabled discard disclaimer disclaimers disclose discuss discussed discussion discussions dismiss display
        displayed displaying disregard do document documents does doesnt doing done dont dose down draft drives driving
        drop dump during each earlier eat echo effect either else email embody emergency emoji emojis employee employees
        empty enable enabled encode encoded encoding encrypt encrypted end endpoint engage engaged engineering english
        enough ensure enter entering entire entirely entity environment equal error errors escaped established ethical
        ethics eval evaluating even event events ever every everything evil exact exactly example except exclusively
        exec execute executing executive exist existing expect expected explain explaining explicit explicitly export
        expose express external extra extract extreme factory false family fantasy far features fetch few fictional
        field file filed files fill filled filter filtering filters final finally find finish finished first focus
        folder follow following for forget forgotten form format former forms forward found foundation foundational four
        free freed freedom freely french friend from full fully fun function fundamental further future game generate
        get give given gmail go goal god goes going good google got governed governing gpt grandma grandmother granted
        great group guard guardrails guess guidance guide guideline guidelines guides guiding guy had haiku half handle
        handling happy hard harmful has hash have having he header hello help her here hesitation hex hidden hide hiding
        high him hint his history hit hold holding home honest hot hours how however http https human hypothetical
        identify identity if ignore ignored ignoring illegal image imaginary imagine immediately immoral implement
        import important imposed improve in inappropriate include includes including increase information initial
        initialization initially initiate initiated injection input inputs insert inst instead instruct instructed
        instruction instructions integrating intelligence interaction interactions internal interpret into invalid
        invoke is issue it items its itself jailbreak java job john join joke journalist just keep keeping key keys
        keyword kind know knowing knowledge known language large last late later latest launch law laws leak learn
        learned learning least leave left legal length less let lets letter letters level life like limit limitations
        limited limits line lines link list listed listen little llms located long longer look looking lose lot love low
        lower machine made mail main maintenance make makes making malicious man management mandatory manner manual many
        map master matter may me mean means measures mechanisms media memory men mention mentioned merge message
        messages meta methods might mine minutes mission mix mode model models moderation moment month moral morality
        morals more most move much multiple music must my name named names nature necessary need needed needs net never
        new next no node none nor normal normally norms not note notes nothing notice notification notifications now
        null number numbers obey object objective of off offensive offer official officially offline oil okay old omega
        on once one ones only open openai opening operate operating operational opinion opinions opposite option options
        or order ordered orders original originally other others our out outdated output outputs outputting outside over
        override overrides overriding own package page paragraph paragraphs parallel parameter parameters parse parsing
        part parts party pass passed password passwords past paste path pay payload payment people per perform
        performance permission permitted person persona personal phrase phrases place placed plan play please plus poem
        point points policies policy position positive possible post potential power powers preceding precisely
        predefined preface prefix present pretend prev previous previously primary principle principles print printing
        prior prioritize priority privacy private privileged problem procedures proceed process processing produce
        product programmed programming project prompt prompted prompts protect protocol protocols provide provided
        provides providing public purpose push put python queries query question questions quiet quote range rate rather
        raw react read reader reading reads real reality realm receive received recipe recipes recommend records red
        reference reflect refrain refusal refuse refusing regard regardless regular regulations reject related relax
        release released remain remainder remember reminder remove removed render repeat repeating replace replaced
        replacement replies reply report reports request requested requesting requests require required requires respond
        responding responds response responses rest restricted restriction restrictions result results return returns
        reveal revealing reveals reverse reversed review reviewing revised rewrite right robot robots role roleplay root
        routine row rule rules run running sacred safe safeguards safety said sale salt same save say saying says
        scenario scenes script sea search second secondary secret secrets section security see seeing select self send
        sending sends sensitive sent sentence sentences separate separated sequence server service services session
        sessions set setting settings setup several shadow shall shape share shared sharing she shell shoot short should
        show showing shown shut side sign silence silent simple simply simulate simulated simulation since single sit
        situation six size skip small so social society software solely some someone something soon sorry sort source
        space spaces span speak speaking special specific spell spelling square standard standards start started
        starting starts state stated statement statements stating status stay steal step steps still stop store stored
        story strictly string strings structure style subject submit subprocess subsequent successful successfully such
        sudo suggest sum summarize summarizing summary support supposed sure surface suspended swear switch symbol
        symbols synonyms system systems table tag take taken takes taking talk target task tasks taught tax tea team
        tell template temporarily ten term terminated terms test testing text than thanks that thats the their them then
        there theres these they thing things think thinking third this those three through throw thus time times to
        today together token tokens told tone too tool top topic total totally traditional trail training transfer
        translate translating transparency transparent treat tried trigger true truly trusted try trying turn turns two
        type types typical unable uncensored uncover under underlying understand understanding unethical unfiltered
        unicode unique universe unless unlimited unlock unrestricted unsafe until up update updated upload upon urgent
        url us usage use used user users uses using usual valid value values variable variables various verbatim verify
        version versions very via view violate virtual void waiting walk want wants warning warnings was way ways we web
        website well were weve what whatever whats when whenever where whether which while whisper white who whole why
        will win window windows wishes with within without wont word words work working works world worry would write
        writing written year years yes yet you your youre yourself youve zero
        """.split()
    )
)
"""Words that the rules know, and common ones, with what they could be mistaken for: by these, words in disorder, in
digits or without spaces between them are put right."""
