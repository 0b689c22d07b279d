"""Questions over short notes, of our own making: which passage of a note answers which question."""

from __future__ import annotations

_TEXT = """
The harbour office opens at seven in the morning and closes at four in the afternoon. On Sundays nobody is there, and
  boats are let in by the lock keeper.
A berth for a boat of up to nine metres costs 18 euros a night. Water and electricity are part of the price and are
  not charged again.
The lock is 6.2 metres wide. Boats that are wider have to wait for the spring tide, when both gates stand open for
  about an hour.
Diesel is sold at the fuel pontoon beside the crane. The pump takes cards only, and it is switched off during
  thunderstorms.
Dogs must be kept on a lead on all pontoons. Their owners find bags at the foot of each ramp and bins beside the
  showers.
? 2 How much is a berth for one night?
? 3 How wide is the lock?
? 4 Where can I buy diesel?
? 1 When does the harbour office open?
? 5 What are the rules for dogs?

Employees have 28 days of paid holiday a year. Days that are not taken by the end of March of the next year are lost,
  unless the company asked somebody to stay.
Who falls ill tells the team lead before ten o'clock. From the third day on a doctor's note is needed, and it is sent
  to the personnel office.
Train tickets are booked in second class by the travel desk. Flights within the country are not paid for, whatever
  they cost.
Laptops are replaced after four years. The old one may be bought for 120 euros once the administrators have wiped its
  disk.
The canteen serves lunch from half past eleven to two. Guests eat for nine euros, and their host pays with the company
  card.
? 1 How many days of holiday do employees have?
? 2 When do I need a doctor's note?
? 3 Are flights within the country paid for?
? 4 After how many years are laptops replaced?
? 5 When is lunch served in the canteen?

The red squirrel builds its nest in the fork of a tree, six metres or more above the ground. It lines the nest with
  moss and strips of bark.
In autumn squirrels bury nuts in hundreds of places. They find most of them again by smell, even under thirty
  centimetres of snow.
A squirrel weighs about 300 grams. Its tail is nearly as long as its body and serves as a balance in jumping from
  branch to branch.
Its worst enemy is the pine marten, which hunts in the trees as well. Buzzards and cats take young animals that have
  left the nest.
Young squirrels are born blind in March or April. They open their eyes after a month and leave their mother when they
  are ten weeks old.
? 3 How much does a squirrel weigh?
? 4 Which animal is the worst enemy of squirrels?
? 2 How do squirrels find their nuts again?
? 5 In which months are young squirrels born?
? 1 Where does the red squirrel build its nest?

The order of 14 May was packed in two boxes. The larger box left the warehouse in Lyon on 16 May and was delivered two
  days later.
The smaller box holds the spare filters. It is held up at customs because the invoice did not name the country where
  they were made.
The customer asked to be called back after three o'clock. Her number is 0471 22 90 and she speaks French and Italian.
The pump makes a rattling noise when it starts. The technician believes that a bearing is worn and wants to replace it
  under the guarantee.
The guarantee ends on 30 September 2027. It covers parts and work, but not the way of the technician, which is 85
  euros.
? 2 Why is the smaller box held up at customs?
? 5 When does the guarantee end?
? 4 What noise does the pump make?
? 3 Which languages does the customer speak?
? 1 When did the larger box leave the warehouse?

The bridge was opened in 1896 after four years of work. It was the first of its kind in the country, and the king
  crossed it on foot.
Its arch spans 162 metres between the two rocks. Until 1931 no arch of iron in the north was longer.
In the flood of 1954 the eastern road was washed away. The bridge itself stood, although the water reached its lower
  beams.
Painting the iron takes three summers and eleven tonnes of paint. It is done every fifteen years, by climbers who hang
  from ropes.
Lorries of more than 7.5 tonnes may not cross. They are sent over the motorway, which makes their way longer by 23
  kilometres.
? 1 In which year was the bridge opened?
? 2 How far does the arch of the bridge span?
? 4 How much paint is needed for the iron?
? 3 What happened in the flood of 1954?
? 5 Which lorries may not cross the bridge?

Heat the oven to 220 degrees and leave the empty pot in it for half an hour. Bread that is put into a cold pot does
  not rise well.
Mix 500 grams of flour with 10 grams of salt and a gram of dry yeast. More yeast makes it faster, and the crumb dull.
Add 380 grams of cold water and stir until no dry flour is left. The dough is sticky and is not kneaded.
Cover the bowl and leave it at room temperature for sixteen hours. When it is ready its surface is full of bubbles.
Bake with the lid on for thirty minutes and for fifteen more without it. Let the loaf cool before you cut it, for an
  hour at least.
? 3 How much water goes into the dough?
? 4 How long does the dough have to rest?
? 1 How hot should the oven be?
? 5 How long is the bread baked?
? 2 How much salt is mixed with the flour?
"""
"""Passages, a line each and indented where they go on; then questions with the number of the passage that answers."""

Note = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]
"""Passages, and questions with the number of the right one, from 1."""


def _read(note: str) -> Note:
    lines = note.replace("\n  ", " ").strip().splitlines()
    told = [line.split(" ", 2) for line in lines if line.startswith("? ")]
    return tuple(line for line in lines if not line.startswith("? ")), tuple((text, int(n)) for _, n, text in told)


NOTES: tuple[Note, ...] = tuple(_read(note) for note in _TEXT.strip().split("\n\n"))
