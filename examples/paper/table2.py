"""Table 2: interaction layers without a DNN.

python examples/paper/table2.py --data criteo --path train.txt --grid paper --out paper_runs.csv
python examples/paper/table2.py --data synthetic --rows 100000 --grid quick
"""

from command import main

if __name__ == "__main__":
    main("table2")
