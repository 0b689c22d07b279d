"""Reports of several trades, formats and languages keep what a summary of them would tell, in half of their tokens."""

import pytest

from tuppence.prune.sections import SectionPruner

ANNUAL = """\
# Halvorsen Marine plc Annual Report 2023

## Contents

- [Highlights](#highlights)
- [Chief executive's review](#review)
- [Financial review](#financial-review)
- [Notice](#notice)

## Highlights

- Revenue grew 14% to £412.6m, the ninth year of growth in a row.
- Adjusted operating profit fell to £38.1m (2022: £44.0m) because of the fire at the Rosyth yard.
- The board proposes a final dividend of 6.2p a share.

## Chief executive's review

Our people did what they always do, and I would like to thank every one of them. The year began as the one before it
had ended, with full order books and short tempers about the price of steel. In June a fire closed the Rosyth yard for
eleven weeks, which cost us £9.3m after insurance. We have since moved two contracts to Leith. Visitors to our stand at
the trade fair in Hamburg told us how much they value the new brochure. The weather on the day was kind.

Our apprentices took part in several regional events. Photographs of these can be found on our website. Some of them
have been shown in the canteen as well.

## Financial review

### Revenue

The table below gives revenue by segment as reported under the accounting policies of the group.

| Segment | 2021 £m | 2022 £m | 2023 £m |
|---|---:|---:|---:|
| Repair | 120.1 | 131.9 | 148.0 |
| New build | 98.4 | 101.2 | 120.3 |
| Defence | 80.0 | 84.1 | 92.2 |
| Leisure | 22.9 | 24.4 | 27.7 |
| Services | 18.2 | 20.3 | 24.4 |
| Total | 339.6 | 361.9 | 412.6 |

Growth came mostly from Repair, where day rates rose. Leisure is seasonal, as it has always been.

### Financing

Net debt rose to £71.4m, which is 1.6 times EBITDA and below the covenant of 3.0 times. The facility of £150m was
extended to March 2028. Treasury policy is reviewed by the committee from time to time, and it meets when needed. The
committee follows its terms of reference. Those are available from the company secretary on request.

### Quarterly figures

| Quarter | Orders | Revenue | Margin |
|---|---|---|---|
| Q1 2023 | 101.4 | 96.2 | 10.1% |
| Q2 2023 | 99.0 | 102.9 | 9.8% |
| Q3 2023 | 87.3 | 95.5 | 7.9% |
| Q4 2023 | 120.9 | 118.0 | 9.2% |
| Q1 2022 | 91.1 | 84.2 | 12.1% |
| Q2 2022 | 90.0 | 88.8 | 12.3% |

## Outlook

We expect revenue of £430m to £445m in 2024. The defence contract in Devonport depends on a decision due in May.

## Notice

This report contains forward-looking statements, which involve risks and uncertainties, so that actual results may
differ materially. Halvorsen Marine plc undertakes no obligation to update them. No part of this document may be
reproduced without prior written consent. All rights reserved.
"""

POSTMORTEM = """\
Post-mortem: checkout outage of 14 March
========================================

Summary
-------

Checkout was down for 47 minutes on 14 March, from 09:12 to 09:59 UTC. About 18,400 orders failed, worth some $1.1m.
The trigger was a configuration change that set the connection pool of the payments service to 4 instead of 400.

Timeline
--------

- 08:55 The weekly deploy train starts, as on every Thursday.
- 09:02 A dashboard is opened by the engineer on call, who sees nothing unusual.
- 09:12 Error rate on checkout passes 60%.
- 09:14 The pager goes off.
- 09:20 A call is opened and people join it.
- 09:31 The search team says that search is fine.
- 09:40 The database team says that the database is fine.
- 09:52 The change to the pool is found and rolled back.
- 09:59 Error rate is back to normal.

Background
----------

The payments service was written in 2017 and has been moved twice since. It holds connections to the ledger in a pool.
The pool is configured in a file that lives in the platform repository. Most teams have such a file. The file is read
when a process starts. Services are restarted one after the other during a deploy.

```yaml
payments:
  pool:
    size: 4
    timeout: 30s
    retries: 3
  region: eu-west-1
  owner: payments-core
  features: [split, refund, wallet, vouchers]
```

Root cause
----------

A template was changed from strings to integers and cut the last two digits off values with a comment behind them. The
review did not catch it, since the rendered file is not part of the diff. No check compares the pool with the number of
workers.

What went well
--------------

Once the change was known, it took seven minutes to recover. The status page was updated early. People were friendly to
each other, and somebody brought cake later in the day.

Raw measurements
----------------

minute  errors  latency_ms  pool_wait_ms
09:10  0.2  120  1
09:11  0.3  131  2
09:12  61.0  2200  900
09:13  72.4  2900  1400
09:14  74.1  3000  1500
09:15  74.0  3010  1502
09:16  73.8  3004  1498

Action items
------------

1. Show the rendered file in every review (owner: platform, due 28 March).
2. Refuse to start a service whose pool is smaller than its number of workers (owner: payments, due 15 April).
"""

AUDIT = """\
NORTHERN HEALTH TRUST
INTERNAL AUDIT REPORT 17/2023

Procurement of medical equipment

CONTENTS
Executive summary ........................ 2
Scope and approach ....................... 3
Detailed findings ........................ 4
Appendix A ............................... 6
\fNorthern Health Trust - Internal Audit                                 Page 2 of 6

EXECUTIVE SUMMARY

Overall rating: limited assurance. Of 60 purchases tested, 23 had no second
quotation, although the rules demand one above EUR 10,000. Purchases of EUR 2.8
million were therefore made without competition. Two findings are of high
priority.

STRICTLY CONFIDENTIAL - for management use only
\fNorthern Health Trust - Internal Audit                                 Page 3 of 6

SCOPE AND APPROACH

The audit covered the period from January to December 2022. It was carried out
by two auditors between February and April. We held interviews with staff of
the purchasing department and of three hospitals. We followed the standards for
the professional practice of internal auditing. Samples were drawn at random
from the list of orders. We thank all who took part for their time and for the
room that was made available to us. Walkthroughs were carried out where the

STRICTLY CONFIDENTIAL - for management use only
\fNorthern Health Trust - Internal Audit                                 Page 4 of 6

process was not written down. Documents were kept in the working papers. The
working papers are numbered in the usual way.

DETAILED FINDINGS

1. Missing quotations

In 23 of 60 purchases the file held a single quotation. The reason most often
given was urgency, but in 17 cases the equipment was delivered more than three
months later. The purchasing system does not block such orders. The system was
introduced some years ago. It has a menu for suppliers and one for orders.

Recommendation: block orders above EUR 10,000 without two quotations by
30 September 2023.

Management response: agreed.

2. Access rights in the purchasing system

Nine employees can both enter a supplier and release a payment. One of them left
the Trust in 2021. Access is requested by a form. The form has four pages and is
stored in a binder next to the printer.

STRICTLY CONFIDENTIAL - for management use only
\fNorthern Health Trust - Internal Audit                                 Page 5 of 6

Recommendation: separate the two rights at once and review all rights twice
a year.

Management response: agreed in part.

CONCLUSION

Controls over purchases are not effective. We will follow up in January 2024.

STRICTLY CONFIDENTIAL - for management use only
\fNorthern Health Trust - Internal Audit                                 Page 6 of 6

APPENDIX A: PURCHASES TESTED

Order      Hospital     Amount      Quotations
4410021    North        12,400      1
4410037    North        18,950      2
4410102    South        44,100      1
4410188    South        10,750      3
4410214    West         97,300      1
4410266    West         23,640      2
4410301    North        15,200      1
4410345    South        61,800      2
"""

TRIAL = """\
Clinical study report: drug LX-204 in moderate asthma

Synopsis

In this randomised, double-blind trial in 612 adults, LX-204 reduced severe exacerbations by 31% against placebo
(rate ratio 0.69; 95% CI 0.55 to 0.86; p = 0.001). The primary endpoint was met. Three deaths occurred, none of them
related to treatment.

1 Introduction

Asthma is a chronic disease of the airways. It affects people of all ages. Many treatments exist, and guidelines
describe how they are used in steps. The disease has been known since antiquity. Patients describe tightness, cough
and shortness of breath. Earlier studies of the same class of drug have been published elsewhere.

2 Methods

2.1 Study design

The trial was carried out at 84 sites in nine countries. Visits took place every four weeks. Randomisation was
stratified
by region. Drug and placebo looked alike. Diaries were kept on an electronic device that was handed out at the first
visit. The device was charged by a cable. Site staff were trained before the first patient came.

2.2 Statistical analysis

The analysis used a negative binomial model with terms for treatment, region and history. Missing data were treated as
described in the statistical analysis plan. Programs were run twice by independent programmers. Listings were produced
for all data.

3 Results

3.1 Efficacy

FEV1 improved by 110 ml more than with placebo at week 52. The benefit was seen in patients with eosinophils above 300
per microlitre, but not in those below 150, where the rate ratio was 0.98. Curves separated early. Figures are shown in
the appendix, one after the other.

Table 4: Exacerbations by subgroup

Subgroup            LX-204      Placebo     Ratio
Eosinophils <150    0.91        0.93        0.98
Eosinophils 150-300 0.70        0.88        0.80
Eosinophils >300    0.48        0.96        0.50
Age below 40        0.66        0.92        0.72
Age 40 and above    0.63        0.95        0.66

3.2 Safety

Serious adverse events were reported in 8.2% of patients on LX-204 and in 9.1% on placebo. Injection site reactions were
more frequent with LX-204 (12% against 3%). Laboratory values were listed by visit. They were reviewed by a physician.

4 Conclusion

LX-204 reduces exacerbations in patients with high eosinophils. Dosing every eight weeks should be studied before
submission.

5 References

1. Meyer A, Olsen P. Airway disease in adults. Thorax 2015;70(3):211-219.
2. Ito K, et al. Biologics in asthma. N Engl J Med 2018;378:2486-2496. doi:10.1056/xx
3. Global strategy for asthma. 2021. https://example.org/gina
4. Brown L, Haas W. Eosinophils as a marker. Chest 2019;155(1):66-74.
"""

UMWELT = """\
Umweltverträglichkeitsprüfung Windpark Hohe Heide

Inhaltsverzeichnis
1 Zusammenfassung    1
2 Anlass    2
3 Methodik    3
4 Auswirkungen    4
5 Quellen    6

1 Zusammenfassung

Von den elf geplanten Anlagen sind neun genehmigungsfähig. Die Anlagen 4 und 7 liegen
weniger als 1.500 m von einem Horst des Rotmilans entfernt und werden abgelehnt. Der
Schallpegel am nächsten Wohnhaus beträgt nachts 43,5 dB(A) und bleibt unter dem
Richtwert von 45 dB(A).

2 Anlass

Die Bürgerenergie Hohe Heide GmbH plant einen Windpark im Norden der Gemeinde. Das
Gebiet wird seit langem als Acker genutzt. Mehrere Wege führen hindurch. Die Gemeinde
hat den Vorentwurf im Gemeindeblatt vorgestellt, das vierteljährlich erscheint.

3 Methodik

Die Kartierung erfolgte nach den üblichen Leitfäden. Begehungen fanden bei trockenem
Wetter statt. Die Geräte wurden vor jeder Messung geprüft. Die Ergebnisse wurden in
Listen eingetragen und von einer zweiten Person gelesen. Dieses Kapitel beschreibt das
Vorgehen im Einzelnen.

4 Auswirkungen

4.1 Vögel

Im Umkreis von 3 km brüten zwei Paare des Rotmilans und ein Paar des Schwarzstorchs. Für
die Anlagen 4 und 7 steigt das Tötungsrisiko signifikant. Übrige Arten sind häufig. Auf
dem Feld wurden auch Lerchen gehört, wie überall in der Gegend.

4.2 Schall

An sieben Punkten wurde gemessen. Der höchste Wert wurde am Haus Lindenweg 3 ermittelt.
Mit Nachtbetrieb in Stufe 2 wird der Richtwert überall eingehalten.

Tabelle 2: Schallpegel
Punkt 1 38,2 36,1 45
Punkt 2 39,9 37,4 45
Punkt 3 41,0 38,8 45
Punkt 4 43,5 40,2 45
Punkt 5 36,6 35,0 45

4.3 Maßnahmen

Von April bis Juli sind die Anlagen tagsüber bei Mahd abzuschalten. Der Ausgleich umfasst
12,4 ha Grünland bis Ende 2025.

5 Quellen

Bundesamt für Naturschutz (2019): Leitfaden Windenergie. Bonn, S. 14-29.
LANA (2020): Standard zur Bewertung des Tötungsrisikos. https://example.org/lana
Müller, H. (2017): Vögel und Windräder. Berlin, S. 101.

Haftungsausschluss

Dieses Gutachten dient ausschließlich dem Auftraggeber. Vervielfältigung und Weitergabe nur mit schriftlicher
Zustimmung. Alle Rechte vorbehalten.
"""

MARCHE = """\
Aller au contenu

Accueil
Rapports
À propos
Contact
Rechercher

Nous utilisons des cookies pour améliorer votre visite. Tout accepter

Le marché du vélo cargo en France

Publié le 12 février 2024

L'essentiel

Les ventes de vélos cargo ont atteint 33 000 unités en 2023, en hausse de 22 %. Le prix moyen a reculé de 9 % à 4 150 €.
Trois marques détiennent 58 % du marché.

Contexte

Le vélo cargo existe depuis plus d'un siècle. On le voyait autrefois devant les boulangeries. Les villes l'ont
redécouvert.
De nombreux articles lui sont consacrés chaque printemps. Les salons professionnels lui réservent désormais une allée.
Les photographies de ces salons sont souvent réussies.

Méthodologie

L'étude repose sur des entretiens et sur un questionnaire en ligne. Les entretiens ont duré environ une heure. Ils
ont été
menés au téléphone. Le questionnaire comptait plusieurs pages. Cette section ne décrit pas le plan de sondage en détail.

Demande

Les familles représentent 64 % des acheteurs, les artisans 21 %. Le principal frein est le stationnement, cité par 47 %
des ménages. Les couleurs vives plaisent. Certains clients donnent un nom à leur vélo.

Ventes par région

Région
2022
2023
Île-de-France
8 100
10 200
Bretagne
2 900
3 700
Occitanie
2 400
2 800
Grand Est
2 100
2 500

Perspectives

Le marché devrait dépasser 50 000 unités en 2026 si la prime nationale est maintenue. Sa suppression ferait perdre
environ
9 000 ventes par an.

Recommandations

Les fabricants devraient proposer la location de longue durée, que 38 % des acheteurs demandent.

Partager
Facebook
LinkedIn
Imprimer

© 2024 Observatoire du cycle. Tous droits réservés. Reproduction interdite sans autorisation.
"""

EVALUACION = """\
Evaluación técnica de bases de datos vectoriales
################################################

Resumen ejecutivo
*****************

Se recomienda el motor B. Con 50 millones de vectores responde en 38 ms en el percentil 95, frente a 91 ms del motor A,
y cuesta 2.900 € al mes. El motor C fue descartado porque perdió datos al reiniciarse.

Antecedentes
************

El equipo usa hoy un índice en memoria. El índice se construyó hace unos años. Desde entonces el catálogo ha crecido.
Varias personas han mantenido el código. La documentación está en la intranet, donde también figura el menú del comedor.

Metodología
***********

Las pruebas se hicieron en máquinas iguales. Cada prueba se repitió cinco veces. Los datos se cargaron desde ficheros.
Los ficheros estaban comprimidos. Para más información, véase el anexo. Los nombres de las máquinas siguen la norma
interna.

Resultados
**********

Rendimiento
===========

El motor A satura la CPU a partir de 400 consultas por segundo, mientras que B llega a 1.150. La recuperación a 10
fue de
0,97 en ambos. Las gráficas se guardaron en color.

=========  ======  ======  ======
Consultas  A       B       C
=========  ======  ======  ======
100        22      19      25
200        35      24      41
400        91      29      77
800        300     34      150
1150       900     38      410
=========  ======  ======  ======

Operación
=========

La copia de seguridad de B tarda 14 minutos y no detiene el servicio. La licencia de A prohíbe su uso como servicio a
terceros. Los tres motores tienen consola web. El color de la consola puede cambiarse.

Limitaciones
************

No se probó el borrado masivo, que en la comunidad de B se describe como lento.

Próximos pasos
**************

Migrar el catálogo a B antes del 30 de junio, con el índice antiguo en paralelo durante seis semanas.

Agradecimientos
***************

Damos las gracias a los equipos de sistemas y de compras por su ayuda y por su paciencia durante las pruebas.
"""

DILIGENCE = """\
PRIVILEGED AND CONFIDENTIAL

MEMORANDUM

To: Investment Committee
From: Deal team
Re: Project Falcon

I. Executive Summary

We advise to proceed at no more than $62m, against the $70m asked. Two matters must be settled before signing: the
change-of-control clause in the contract with Bexley Foods, which brings 34% of revenue, and unpaid sales tax of $1.7m.

II. Background

Falcon was founded in 2009 by two brothers. It sells labels to food makers. The office lies near a river. Staff are
proud of the firm and of its history. The founders still come to work on most days. A tour of the plant was given by
the plant manager, who was helpful throughout.

III. Legal

A. Contracts

We read 41 customer contracts. Bexley Foods may terminate within 60 days of a change of control. Liability to Bexley is
capped at $2m a year. Most of the others follow a standard form. The standard form has eleven pages and was drafted by
a law firm in the city.

B. Litigation

One former employee claims $240,000 for unfair dismissal; counsel expects to settle for less than half. There are no
other claims.

IV. Financial

EBITDA of $8.9m includes $1.3m that does not recur, so that we count $7.6m. Customer prepayments of $2.2m should be
treated as debt. The books are kept in a common system. Month-end closing is done by three people.

Quarter Revenue EBITDA Capex Headcount
Q1-22 9.8 1.9 0.4 211
Q2-22 10.1 2.0 0.3 214
Q3-22 10.4 2.2 0.6 216
Q4-22 11.0 2.4 0.5 219
Q1-23 10.9 2.1 0.7 221
Q2-23 11.3 2.2 0.4 223

V. Technology

The press control software has had no maintenance since 2020, and its replacement would cost about $900,000. Laptops are
replaced as needed. The Wi-Fi was good in all rooms that we visited.

VI. Next Steps

- Obtain a written waiver from Bexley Foods.
- Hold back $3m of the price for 18 months.

Important Notice

This memorandum is intended solely for the Investment Committee. We make no representation or warranty, express or
implied, as to its accuracy or completeness, and accept no liability to any third party. It may not be copied without
prior written consent.
"""

PAPER = """\
Pruned Retrieval for Question Answering at Low Cost
A. Lindqvist, M. Okafor and T. Nakamura
Abstract
We show that dropping half of the retrieved text costs less than one point of accuracy. On four data sets a simple
scorer keeps 97.2% of the answers at 50% of the tokens. A larger model helps only on multi-hop questions.
1 Introduction
Retrieval is used in many systems today. A retriever finds passages, and a model reads them. Long inputs are common in
practice. Many papers have looked at this from many sides. The remainder of this paper is structured as follows.
2 Related Work
Early work selected sentences by overlap [3]. Later work trained models for it [4, 7]. Others compress tokens [9]. We
refer the reader to a survey for a longer list. Each of these lines has its merits, and we do not discuss all of them.
3 Method
We cut passages into sentences. We score each sentence against the question. We keep the best ones in their order. The
implementation is written in a common language. Hyperparameters were left as they were in the library that we used.
4 Results
Accuracy fell from 61.3 to 60.6 at half the tokens, which is not significant (p = 0.21). At a tenth of the tokens it
fell
to 52.8. Multi-hop questions lost 6.4 points, and a reranker won back 4.9 of them. Runs took a few hours each. Seeds
were
set to small numbers.
Table 2. Accuracy by data set.
Data Full Half Tenth
NQ 64.1 63.8 57.0
TQA 72.3 71.9 66.1
HotpotQA 55.2 53.0 41.7
MuSiQue 53.6 53.7 46.4
5 Limitations
All data sets are in English, and no dialogue was tested.
6 Conclusion
Pruning to half is safe for single-hop questions. We advise against it below 20% of the tokens.
References
[1] P. Lewis et al. Retrieval-augmented generation. In NeurIPS, 2020, pp. 9459-9474.
[2] V. Karpukhin et al. Dense passage retrieval. In EMNLP, 2020, pp. 6769-6781.
[3] A. Berger and J. Lafferty. Information retrieval as translation. In SIGIR, 1999, pp. 222-229.
[4] F. Xu et al. RECOMP. arXiv:2310.04408, 2023.
[5] H. Jiang et al. LLMLingua. In EMNLP, 2023, pp. 13358-13376.
"""

FACTS = {
    "annual": (ANNUAL, ("14% to £412.6m", "fell to £38.1m", "dividend of 6.2p", "cost us £9.3m", "1.6 times EBITDA",
        "extended to March 2028", "£430m to £445m", "decision due in May")),
    "postmortem": (POSTMORTEM, ("down for 47 minutes", "18,400 orders", "4 instead of 400", "cut the last two digits",
        "No check compares", "due 28 March", "due 15 April")),
    "audit": (AUDIT, ("limited assurance", "23 had no second", "EUR 2.8", "in 17 cases", "does not block",
        "Nine employees", "30 September 2023", "separate the two rights", "not effective", "January 2024")),
    "trial": (TRIAL, ("612 adults", "by 31%", "primary endpoint was met", "Three deaths", "110 ml", "below 150",
        "8.2% of patients", "12% against 3%", "high eosinophils", "every eight weeks")),
    "umwelt": (UMWELT, ("neun genehmigungsfähig", "1.500 m", "43,5 dB(A)", "zwei Paare", "Tötungsrisiko signifikant",
        "Stufe 2", "April bis Juli", "12,4 ha")),
    "marche": (MARCHE, ("33 000 unités", "4 150 €", "58 % du marché", "64 % des acheteurs", "cité par 47 %",
        "50 000 unités", "9 000 ventes", "38 % des acheteurs")),
    "evaluacion": (EVALUACION, ("recomienda el motor B", "38 ms", "2.900 €", "perdió datos", "B llega a 1.150",
        "14 minutos", "prohíbe su uso", "borrado masivo", "30 de junio", "seis semanas")),
    "diligence": (DILIGENCE, ("no more than $62m", "34% of revenue", "$1.7m", "within 60 days", "capped at $2m",
        "$240,000", "count $7.6m", "treated as debt", "about $900,000", "written waiver", "Hold back $3m")),
    "paper": (PAPER, ("97.2% of the answers", "only on multi-hop", "61.3 to 60.6", "lost 6.4 points", "won back 4.9",
        "in English", "safe for single-hop", "below 20%")),
}  # fmt: skip
"""By report: its text, and what a summary of it would tell, about half of it outside its own summary."""


def test_half_of_the_tokens_hold_what_reports_have_to_say() -> None:
    """With default settings, 95 of 100 facts survive in half of the tokens, over all reports."""
    kept = [(" ".join(SectionPruner().prune(text).text.split()), facts) for text, facts in FACTS.values()]
    lost = [fact for text, facts in kept for fact in facts if fact not in text]
    assert len(lost) <= 0.05 * sum(len(facts) for _, facts in kept), lost


@pytest.mark.parametrize("name", FACTS)
def test_no_report_takes_more_than_half(name: str) -> None:
    """The share is a bound for every text, not an average."""
    audit = SectionPruner().prune(FACTS[name][0]).audit
    assert audit.tokens_after <= 0.5 * audit.tokens_before
