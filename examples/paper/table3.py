"""Table 3: the number of layers.

python examples/paper/table3.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/table3.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("table3")
